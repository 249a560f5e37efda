from keras_basisprune.search.compress import compress
from keras_basisprune.search.jobs.job import Job
from keras_basisprune.search.jobs.jobs_result import JobsResult
from keras_basisprune.search.jobs.search_jobs import search_jobs
from keras_basisprune.search.result import CompressionResult
from keras_basisprune.search.search_options import SearchOptions
from keras_basisprune.search.trial import Trial

__all__ = [
    "CompressionResult",
    "Job",
    "JobsResult",
    "SearchOptions",
    "Trial",
    "compress",
    "search_jobs",
]
