"""Runs the segmentation in another process, for the panel: starting, following, cancelling, and what went wrong.

    run = Run(Interpreter.default(), {"command": "segment", "model": "model-2-compact"}, volume=ct)
    run.start()
    for event in run.events():  # from a timer, until one is "result", "cancelled" or "error"
        ...

Nothing here waits for the process or imports torch; what is slow happens in threads.
"""
