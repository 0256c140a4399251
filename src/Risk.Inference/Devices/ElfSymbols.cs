using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Risk.Inference.Devices;

/// <summary>
/// The dynamic symbols of a Linux library (ELF, 64 bit, little endian), read from its file: what it offers, and what it wants
/// of whoever loads it. Nothing is loaded, so none of its initialisers runs. https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
/// </summary>
internal sealed class ElfSymbols
{
    private const int HeaderSize = 64, SectionSize = 64, SymbolSize = 24;
    private const uint DynamicSymbols = 11; // SHT_DYNSYM
    private const int TableSizeMax = 256 << 20;

    private readonly HashSet<string> _offered = new(StringComparer.Ordinal);
    private readonly HashSet<string> _wanted = new(StringComparer.Ordinal);

    private ElfSymbols()
    {
    }

    public bool Offers(string name) => _offered.Contains(name);

    public bool Wants(string name) => _wanted.Contains(name);

    /// <summary>False where the file cannot be read or is no such library; the loader says it better then.</summary>
    public static bool TryRead(string path, [NotNullWhen(true)] out ElfSymbols? symbols)
    {
        symbols = null;
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            byte[]? header = Part(file, 0, HeaderSize);
            if (header is null || !header.AsSpan().StartsWith("\u007fELF"u8) || header[4] != 2 || header[5] != 1) { return false; }
            long at = BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(0x28));
            int count = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(0x3c));
            if (Part(file, at, (long)count * SectionSize) is not { } sections) { return false; }
            for (int i = 0; i < count; i++)
            {
                ReadOnlySpan<byte> section = sections.AsSpan(i * SectionSize, SectionSize);
                if (BinaryPrimitives.ReadUInt32LittleEndian(section[4..]) != DynamicSymbols) { continue; }
                long names = BinaryPrimitives.ReadUInt32LittleEndian(section[0x28..]);
                if (names >= count || Content(file, section) is not { } entries || Content(file, sections.AsSpan((int)names * SectionSize, SectionSize)) is not { } texts) { return false; }
                symbols = new ElfSymbols();
                symbols.Add(entries, texts);
                return true;
            }
            return false;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private void Add(ReadOnlySpan<byte> entries, ReadOnlySpan<byte> texts)
    {
        for (; entries.Length >= SymbolSize; entries = entries[SymbolSize..])
        {
            uint name = BinaryPrimitives.ReadUInt32LittleEndian(entries);
            if (name == 0 || name >= texts.Length) { continue; }
            ReadOnlySpan<byte> text = texts[(int)name..];
            int end = text.IndexOf((byte)0);
            bool isDefined = BinaryPrimitives.ReadUInt16LittleEndian(entries[6..]) != 0; // SHN_UNDEF
            (isDefined ? _offered : _wanted).Add(Encoding.UTF8.GetString(end < 0 ? text : text[..end]));
        }
    }

    private static byte[]? Content(FileStream file, ReadOnlySpan<byte> section) =>
        Part(file, BinaryPrimitives.ReadInt64LittleEndian(section[0x18..]), BinaryPrimitives.ReadInt64LittleEndian(section[0x20..]));

    private static byte[]? Part(FileStream file, long at, long size)
    {
        if (at < 0 || size < 0 || size > TableSizeMax || at > file.Length - size) { return null; }
        byte[] bytes = new byte[size];
        file.Position = at;
        file.ReadExactly(bytes);
        return bytes;
    }
}
