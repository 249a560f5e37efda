from keras_basisprune.search.compress import compress
from keras_basisprune.search.result import CompressionResult
from keras_basisprune.search.search_options import SearchOptions
from keras_basisprune.search.trial import Trial

__all__ = ["CompressionResult", "SearchOptions", "Trial", "compress"]
