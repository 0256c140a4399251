namespace Risk.Inference.Tests;

/// <summary>Just enough protobuf to append a node to the graph of a small ONNX file.</summary>
internal sealed class ProtoWalk(byte[] model)
{
    private const int GraphField = 7;
    private const int NodeField = 1;
    private const int NodeOutput = 2;

    /// <summary>The node that gives <paramref name="output"/> gives <paramref name="renamed"/>, from which the new node of one input makes the output.</summary>
    public byte[] InsertNode(string output, string renamed, string opType)
    {
        byte[] node = [.. Field(1, Ascii(renamed)), .. Field(NodeOutput, Ascii(output)), .. Field(4, Ascii(opType))];
        return Rewrite(model, GraphField, graph =>
            [.. Rewrite(graph, NodeField, n => Rewrite(n, NodeOutput, name => name.SequenceEqual(Ascii(output)) ? Ascii(renamed) : name)), .. Field(NodeField, node)]);
    }

    private static byte[] Rewrite(byte[] message, int field, Func<byte[], byte[]> change)
    {
        var result = new List<byte>();
        for (var at = 0; at < message.Length;)
        {
            var start = at;
            var tag = Varint(message, ref at);
            if ((tag & 7) == 0)
            {
                Varint(message, ref at);
                result.AddRange(message[start..at]);
                continue;
            }

            Assert.Equal(2ul, tag & 7);
            var length = (int)Varint(message, ref at);
            var content = message[at..(at + length)];
            at += length;
            result.AddRange(Field((int)(tag >> 3), (int)(tag >> 3) == field ? change(content) : content));
        }

        return [.. result];
    }

    private static byte[] Field(int number, byte[] content) => [.. Varint(((ulong)number << 3) | 2), .. Varint((ulong)content.Length), .. content];

    private static byte[] Ascii(string text) => System.Text.Encoding.ASCII.GetBytes(text);

    private static byte[] Varint(ulong value)
    {
        var bytes = new List<byte>();
        for (; value >= 0x80; value >>= 7)
        {
            bytes.Add((byte)(value | 0x80));
        }

        bytes.Add((byte)value);
        return [.. bytes];
    }

    private static ulong Varint(byte[] bytes, ref int at)
    {
        ulong value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var b = bytes[at++];
            value |= (ulong)(b & 0x7F) << shift;
            if (b < 0x80)
            {
                return value;
            }
        }
    }
}
