"""The tool from Python: what the commands do, for scripts and notebooks. The commands call the same functions.

    import cnncli

    print(cnncli.summary("lenet5"))
    run = cnncli.train("digits_lenet", **{"train.epochs": 5})
    run.evaluate("test")["accuracy"]
    run.predict(images)                                 # an array, or paths
    run.export("onnx")

TensorFlow is imported by what trains or computes, and by nothing else. Errors are `cnncli.CnnError`: a message, and a
hint that says what to do. Ctrl-C during training ends it after the step, saves, and raises KeyboardInterrupt;
`Run("latest").resume()` goes on.
"""

from cnncli.api.configs import NetworkSummary, load, summary
from cnncli.api.evaluation import Evaluation
from cnncli.api.pictures import Picture, show
from cnncli.api.run import Run, train

__all__ = ["Evaluation", "NetworkSummary", "Picture", "Run", "load", "show", "summary", "train"]
