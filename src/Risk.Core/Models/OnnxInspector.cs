using System.Text;

namespace Risk.Core.Models;

/// <summary>
/// Looks through an ONNX file before any runtime sees it: it must be whole, self-contained (no tensor in another file) and
/// made of operators whose domain is known, with dimensions that can be meant. Everything nested is looked at, too.
/// Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
/// </summary>
public static class OnnxInspector
{
    private static readonly string[] KnownDomains = ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"];

    /// <summary>Bytes an element takes by TensorProto.DataType; 0 for text and for types added later.</summary>
    private static ReadOnlySpan<byte> ElementSizes => [0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 8, 16, 2];

    /// <summary>Why the file must not be loaded, or null when nothing speaks against it.</summary>
    /// <param name="onnx">The whole file.</param>
    public static ModelRefusal? Inspect(ReadOnlySpan<byte> onnx)
    {
        if (onnx.Length is 0 or > ModelLimits.FileSizeMax)
        {
            return Untrusted($"the file has {onnx.Length} bytes; 1 to {ModelLimits.FileSizeMax} can be read");
        }

        var hasGraph = false;
        var reader = new ProtoReader(onnx);
        while (reader.Next(out var field))
        {
            ModelRefusal? refusal = null;
            switch (field.Number)
            {
                case 7 when field.IsBytes:
                    refusal = hasGraph ? Untrusted("the file holds two graphs") : Graph(field.Bytes, 1);
                    hasGraph = true;
                    break;
                case 8 when field.IsBytes:
                    refusal = Opset(field.Bytes);
                    break;
                case 20:
                    refusal = Unsupported("the file holds training steps");
                    break;
                case 25:
                    refusal = Unsupported("the file defines functions of its own");
                    break;
            }

            if (refusal is not null)
            {
                return refusal;
            }
        }

        return (reader.IsMalformed, hasGraph) switch
        {
            (true, _) => Malformed(),
            (_, false) => Untrusted("the file holds no graph"),
            _ => null,
        };
    }

    private static ModelRefusal? Opset(ReadOnlySpan<byte> message)
    {
        var reader = new ProtoReader(message);
        while (reader.Next(out var field))
        {
            if (field is { Number: 1, IsBytes: true } && Domain(field.Bytes) is { } refusal)
            {
                return refusal;
            }
        }

        return reader.IsMalformed ? Malformed() : null;
    }

    private static ModelRefusal? Graph(ReadOnlySpan<byte> message, int nesting)
    {
        if (nesting > ModelLimits.NestingMax)
        {
            return Unsupported($"graphs are nested deeper than {ModelLimits.NestingMax}");
        }

        var reader = new ProtoReader(message);
        while (reader.Next(out var field))
        {
            if (!field.IsBytes)
            {
                continue;
            }

            var refusal = field.Number switch
            {
                1 => Node(field.Bytes, nesting),
                5 => Tensor(field.Bytes),
                11 or 12 or 13 => ValueShape(field.Bytes),
                15 => SparseTensor(field.Bytes),
                _ => null,
            };
            if (refusal is not null)
            {
                return refusal;
            }
        }

        return reader.IsMalformed ? Malformed() : null;
    }

    private static ModelRefusal? Node(ReadOnlySpan<byte> message, int nesting)
    {
        var reader = new ProtoReader(message);
        while (reader.Next(out var field))
        {
            var refusal = field.Number switch
            {
                5 when field.IsBytes => Attribute(field.Bytes, nesting),
                7 when field.IsBytes => Domain(field.Bytes),
                _ => null,
            };
            if (refusal is not null)
            {
                return refusal;
            }
        }

        return reader.IsMalformed ? Malformed() : null;
    }

    private static ModelRefusal? Attribute(ReadOnlySpan<byte> message, int nesting)
    {
        var reader = new ProtoReader(message);
        while (reader.Next(out var field))
        {
            if (!field.IsBytes)
            {
                continue;
            }

            var refusal = field.Number switch
            {
                5 or 10 => Tensor(field.Bytes),
                6 or 11 => Graph(field.Bytes, nesting + 1),
                22 or 23 => SparseTensor(field.Bytes),
                _ => null,
            };
            if (refusal is not null)
            {
                return refusal;
            }
        }

        return reader.IsMalformed ? Malformed() : null;
    }

    private static ModelRefusal? SparseTensor(ReadOnlySpan<byte> message)
    {
        long elements = 1;
        var reader = new ProtoReader(message);
        while (reader.Next(out var field))
        {
            if (field is { Number: 1 or 2, IsBytes: true } && Tensor(field.Bytes) is { } refusal)
            {
                return refusal;
            }

            if (field.Number == 3 && !TryDimensions(field, ref elements))
            {
                return HugeDimensions();
            }
        }

        return reader.IsMalformed ? Malformed() : null;
    }

    private static ModelRefusal? Tensor(ReadOnlySpan<byte> message)
    {
        long elements = 1;
        ulong type = 0;
        var rawSize = -1;
        var reader = new ProtoReader(message);
        while (reader.Next(out var field))
        {
            switch (field.Number)
            {
                case 1 when !TryDimensions(field, ref elements):
                    return HugeDimensions();
                case 2:
                    type = field.Scalar;
                    break;
                case 9 when field.IsBytes:
                    rawSize = field.Bytes.Length;
                    break;
                case 13 or 14 when field.IsBytes || field.Scalar != 0:
                    return Untrusted("a tensor lies in another file (external data); only self-contained models are loaded");
            }
        }

        if (reader.IsMalformed)
        {
            return Malformed();
        }

        var elementSize = type < (ulong)ElementSizes.Length ? ElementSizes[(int)type] : 0;
        return rawSize >= 0 && elementSize > 0 && elements * elementSize != rawSize
            ? Untrusted($"a tensor declares {elements} elements of {elementSize} bytes and holds {rawSize} bytes")
            : null;
    }

    /// <summary>ValueInfoProto.type (2) · tensor_type (1) · shape (2) · dim (1) · dim_value (1).</summary>
    private static ModelRefusal? ValueShape(ReadOnlySpan<byte> message)
    {
        long elements = 1;
        return Descend(message, [2, 1, 2, 1], ref elements);
    }

    private static ModelRefusal? Descend(ReadOnlySpan<byte> message, ReadOnlySpan<int> path, ref long elements)
    {
        var reader = new ProtoReader(message);
        while (reader.Next(out var field))
        {
            if (path.IsEmpty)
            {
                if (field.Number == 1 && !TryDimensions(field, ref elements))
                {
                    return HugeDimensions();
                }
            }
            else if (field.Number == path[0] && field.IsBytes && Descend(field.Bytes, path[1..], ref elements) is { } refusal)
            {
                return refusal;
            }
        }

        return reader.IsMalformed ? Malformed() : null;
    }

    /// <summary>Multiplies one dimension, or a packed run of them, into the element count; false past the limit or below 0.</summary>
    private static bool TryDimensions(in ProtoField field, ref long elements)
    {
        if (!field.IsBytes)
        {
            return TryDimension(field.Scalar, ref elements);
        }

        var rest = field.Bytes;
        while (!rest.IsEmpty)
        {
            if (!ProtoReader.TryVarint(ref rest, out var size) || !TryDimension(size, ref elements))
            {
                return false;
            }
        }

        return true;
    }

    private static bool TryDimension(ulong size, ref long elements)
    {
        if (size > (ulong)ModelLimits.TensorElementCountMax)
        {
            return false;
        }

        elements *= (long)size;
        return elements <= ModelLimits.TensorElementCountMax;
    }

    private static ModelRefusal? Domain(ReadOnlySpan<byte> utf8)
    {
        foreach (var known in KnownDomains)
        {
            if (utf8.SequenceEqual(Encoding.UTF8.GetBytes(known)))
            {
                return null;
            }
        }

        var shown = Encoding.UTF8.GetString(utf8[..Math.Min(utf8.Length, 64)]).Where(c => !char.IsControl(c)).ToArray();
        return Unsupported($"operators of the domain '{new string(shown)}' are not known");
    }

    private static ModelRefusal HugeDimensions() => Unsupported($"a tensor has more than {ModelLimits.TensorElementCountMax} elements, or a negative dimension");

    private static ModelRefusal Malformed() => Untrusted("the file is truncated or no ONNX file");

    private static ModelRefusal Untrusted(string reason) => new(ModelCodes.Untrusted, reason);

    private static ModelRefusal Unsupported(string reason) => new(ModelCodes.Unsupported, reason);
}
