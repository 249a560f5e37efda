from keras_basisprune.report.charts._style import DARK, LIGHT
from keras_basisprune.report.charts.history_charts import history_charts
from keras_basisprune.report.charts.layer_bars import layer_bars
from keras_basisprune.report.charts.predicted_losses import predicted_losses
from keras_basisprune.report.charts.spectrum_charts import spectrum_charts
from keras_basisprune.report.charts.trade_off import trade_off

__all__ = [
    "DARK",
    "LIGHT",
    "history_charts",
    "layer_bars",
    "predicted_losses",
    "spectrum_charts",
    "trade_off",
]
