"""The parts of the panel of the LungNoduleSeg module; Slicer loads the module file beside this folder."""
