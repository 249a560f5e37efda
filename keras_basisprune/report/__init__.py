from keras_basisprune.report.compare_reports import ReportComparison, compare_reports
from keras_basisprune.report.write_report import write_report

__all__ = ["ReportComparison", "compare_reports", "write_report"]
