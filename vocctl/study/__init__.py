"""Studies: comparisons and searches of training runs, in one resumable command. See docs/study.md.

From Python: `vocctl.study.folder.open_study`, `vocctl.study.worker.work`, `vocctl.study.results.results_of`.
"""
