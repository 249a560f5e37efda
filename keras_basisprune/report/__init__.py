from keras_basisprune.report.write_report import write_report

__all__ = ["write_report"]
