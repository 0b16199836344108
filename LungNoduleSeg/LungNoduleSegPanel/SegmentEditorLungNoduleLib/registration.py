"""Makes the Segment Editor know the effect."""

from pathlib import Path


def newEffect():
    """A new scripted effect whose Python class is in SegmentEditorEffect.py; None without the Segment Editor."""
    try:
        import qSlicerSegmentationsEditorEffectsPythonQt as effects
    except ImportError:
        return None
    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    effect.setPythonSource(str(Path(__file__).with_name("SegmentEditorEffect.py")).replace("\\", "/"))
    return effect


def registerEffect():
    """Register the effect, once the application has started; True where that was possible."""
    effect = newEffect()
    if effect is None:
        return False
    effect.self().register()
    return True
