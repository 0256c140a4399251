namespace Risk.Core.Models;

/// <summary>Every bound on a model file, with its reason. A model past one of them is refused with its code.</summary>
public static class ModelLimits
{
    /// <summary>Bytes of a model file. Protobuf itself ends at 2 GiB; the largest ensembles seen in the field stay under 200 MB.</summary>
    public const int FileSizeMax = 512 * 1024 * 1024;

    /// <summary>Trees of one forest. Boosted forests have hundreds to a few thousands.</summary>
    public const int TreeCountMax = 65_536;

    /// <summary>Nodes of one forest, leaves included: 28 bytes each here, so at most 235 MB.</summary>
    public const int NodeCountMax = 8 * 1024 * 1024;

    /// <summary>Decisions on the longest path. Fully grown random forests reach about 50; the walk is a loop, not a recursion.</summary>
    public const int DepthMax = 512;

    /// <summary>Features of one row. The catalog's own bound is far lower; it keeps a batch of 1,024 rows under 16 MB.</summary>
    public const int FeatureCountMax = 4_096;

    /// <summary>Targets or classes of one ensemble of trees.</summary>
    public const int TargetCountMax = 1_024;

    /// <summary>Nesting of protobuf messages that is followed (a graph inside an attribute inside a graph, ...).</summary>
    public const int NestingMax = 16;

    /// <summary>Elements of one tensor in a model file, whatever the file's size says.</summary>
    public const long TensorElementCountMax = 256L * 1024 * 1024;
}
