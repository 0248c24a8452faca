"""What Numba does otherwise for a kernel, by way of parts of it that are documented for nobody.

**Whole vectors.** Where a core has vectors of 512 bits, LLVM uses half of each on most Intel cores, which long ago
slowed down otherwise. BLAS uses them whole in any case; so do these kernels, each of which says so to LLVM.

**Sealed code.** What a kernel calls, Numba links into its code under a public name. Wherever LLVM does not write such a
function into its caller, the process that compiles has two of them, this one and that of the function by itself, which
was optimised alone and rounds differently; the loader takes the one that came first. A process that finds the kernel
on disk has the one in the kernel alone. So the first process on a machine trained to other bits than all later ones.
Here what was linked in becomes the kernel's own, and no loader has anything to choose: what a kernel computes depends
on its source alone, and not on what else was compiled or loaded before it.
"""

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import BaseNativeLowering, NativeLowering

# Overridden or called below: one that is missing shows at once, where jit.py does without, and not in a first step.
NEEDED = (
    DefaultPassBuilder.define_nopython_pipeline,
    JITCodeLibrary._optimize_final_module,
    Lower.setup_function,
    BaseNativeLowering.run_pass,
)


class Sealed(JITCodeLibrary):
    """The code of one kernel, none of which is replaced by another function of the same name."""

    sealed = False
    """Whether that is so; what is not is never kept on disk."""

    def _optimize_final_module(self):
        super()._optimize_final_module()
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage.name in ("linkonce_odr", "linkonce_any"):
                function.linkage = "internal"
        self.sealed = True


class _Lower(Lower):
    def setup_function(self, fndesc):
        super().setup_function(fndesc)
        set.add(self.function.attributes, '"prefer-vector-width"="512"')  # llvmlite itself knows no such attribute


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(BaseNativeLowering):
    _name = "lowering_to_sealed_code"  # type: ignore[assignment]
    lowering_class = _Lower

    def run_pass(self, state):
        if state.library is None:
            state.library = Sealed(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
        return super().run_pass(state)


class KernelCompiler(CompilerBase):
    """Numba's own steps, but for the one that writes the code for LLVM."""

    def define_pipelines(self):
        """The one list of steps."""
        steps = DefaultPassBuilder.define_nopython_pipeline(self.state)
        steps.passes = [(_Lowering if step is NativeLowering else step, why) for step, why in steps.passes]
        steps.finalize()
        return [steps]
