namespace Risk.Core.Models.Tensors;

/// <summary>How trees become tensor operations: the three ways of S. Nakandala et al., "A Tensor Compiler for Unified Machine
/// Learning Prediction Serving" (Hummingbird), OSDI 2020, https://www.usenix.org/conference/osdi20/presentation/nakandala.</summary>
public enum TensorStrategy
{
    /// <summary>Every split at once, leaves by a matrix product.</summary>
    Gemm = 0,

    /// <summary>Level by level in trees of their own shape.</summary>
    TreeTraversal = 1,

    /// <summary>Level by level in trees filled up to the full depth.</summary>
    PerfectTreeTraversal = 2,
}

/// <summary>What kind of processor a tensor graph is made for.</summary>
public enum TensorTarget
{
    /// <summary>Few cores with caches: arithmetic that is not needed costs time.</summary>
    Cpu = 0,

    /// <summary>A device of thousands of lanes: kernel starts and scattered reads cost more than arithmetic.</summary>
    Accelerator = 1,
}

/// <summary>A strategy with the figures it was chosen by.</summary>
/// <param name="Reason">One sentence for a person.</param>
public sealed record TensorChoice(TensorStrategy Strategy, string Reason);
