// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ulikunitz/xz/lzma"

	"github.com/gizmo-ebpf/gizmo/internal/elffile"
)

const (
	miniName = ".gnu_debugdata"
	maxMini  = 16 << 20 // bytes, compressed and decompressed; that of a browser has less
	// maxBlocks bounds the blocks, each of which takes a dictionary. Several processors that compress at once make blocks of
	// many megabytes.
	maxBlocks = 64
)

// miniTable reads the small ELF file, compressed by xz, in which some distributions leave the names of functions that are not
// exported.
func (f *File) miniTable() (*table, error) {
	section := f.elf.Section(miniName)
	if section == nil {
		return nil, errNone
	}
	r, err := f.elf.Reader(section, maxMini)
	if err != nil {
		return nil, err
	}
	data, err := decompress(r)
	if err != nil {
		return nil, fmt.Errorf("section %q: %w", miniName, err)
	}
	e, err := elffile.New(data, data.size)
	if err != nil {
		return nil, fmt.Errorf("section %q: %w", miniName, err)
	}
	t, err := symbolTable(e, elf.SHT_SYMTAB, f.code)
	if err != nil {
		return nil, err
	}
	// Only the names are needed from here on.
	section, err = e.SymbolNames(e.SectionOf(elf.SHT_SYMTAB))
	if err != nil {
		return nil, err
	}
	text, err := e.Bytes(section, maxMini)
	if err != nil {
		return nil, err
	}
	t.names, t.inRAM = bytes.NewReader(text), int64(len(text))
	return t, nil
}

// chunks are bytes that arrive one after the other. They do not move, so that the memory that they take is what they are.
type chunks struct {
	list [][]byte // all but the last are full
	size int64
}

const chunkSize = 64 << 10

var errLarge = fmt.Errorf("it has more than %d bytes", maxMini)

func (c *chunks) readFrom(r io.Reader) error {
	for {
		if len(c.list) == 0 || len(c.list[len(c.list)-1]) == chunkSize {
			c.list = append(c.list, make([]byte, 0, chunkSize))
		}
		last := &c.list[len(c.list)-1]
		n, err := r.Read((*last)[len(*last):chunkSize])
		*last = (*last)[:len(*last)+n]
		c.size += int64(n)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case c.size > maxMini:
			return errLarge
		}
	}
}

// ReadAt implements [io.ReaderAt].
func (c *chunks) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		if off < 0 || off >= c.size {
			return n, io.EOF
		}
		k := copy(p[n:], c.list[off/chunkSize][off%chunkSize:])
		n, off = n+k, off+int64(k)
	}
	return n, nil
}

// Parts of the format of xz.
const (
	xzMagic   = "\xfd7zXZ\x00"
	xzHeader  = 12
	xzLZMA2   = 0x21
	xzChecked = 4 // the first size of a check; the others follow from the type
)

var errNotXZ = errors.New("it is not compressed as it should be")

// decompress reads a file of xz. The module for xz would take as much memory as a block's header asks for, which is up to 4 GiB, so this
// reads the headers itself, and leaves only the compressed data to the module. It does not check checksums.
func decompress(r io.Reader) (*chunks, error) {
	in := &counter{r: bufio.NewReader(r)}
	var header [xzHeader]byte
	if _, err := io.ReadFull(in, header[:]); err != nil || string(header[:6]) != xzMagic || header[6] != 0 {
		return nil, errNotXZ
	}
	check := 0 // bytes that follow a block
	if kind := int(header[7] & 15); kind > 0 {
		check = xzChecked << ((kind - 1) / 3)
	}
	out := &chunks{}
	for range maxBlocks {
		dict, err := blockHeader(in)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		// What is decompressed never refers back further than to its start.
		blocks, err := lzma.Reader2Config{DictCap: int(min(dict, maxMini))}.NewReader2(in)
		if err != nil {
			return nil, errNotXZ
		}
		if err := out.readFrom(blocks); err != nil {
			return nil, err
		}
		if _, err := in.Discard(-in.n&3 + check); err != nil {
			return nil, errNotXZ
		}
	}
	return nil, errNotXZ
}

// blockHeader reads the header of a block, and returns the size of the dictionary; io.EOF after the last block.
func blockHeader(in *counter) (dict int64, err error) {
	size, err := in.ReadByte()
	if err != nil {
		return 0, errNotXZ
	}
	if size == 0 { // the index follows
		return 0, io.EOF
	}
	b := make([]byte, (int(size)+1)*4-1)
	if _, err := io.ReadFull(in, b); err != nil {
		return 0, errNotXZ
	}
	const filters, compressedSize, plainSize = 3, 0x40, 0x80
	flags, rest := b[0], b[1:]
	for _, field := range []byte{compressedSize, plainSize} {
		if flags&field != 0 {
			_, n := binary.Uvarint(rest)
			if n <= 0 {
				return 0, errNotXZ
			}
			rest = rest[n:]
		}
	}
	if flags&filters != 0 || len(rest) < 3 || rest[0] != xzLZMA2 || rest[1] != 1 {
		return 0, errNotXZ // filters for machine code serve no tables of symbols
	}
	dict, err = lzma.DecodeDictCap(rest[2])
	if err != nil {
		return 0, errNotXZ
	}
	return max(dict, lzma.MinDictCap), nil
}

// counter counts the bytes that are read.
type counter struct {
	r *bufio.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// ReadByte keeps the module for xz from reading ahead.
func (c *counter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

// Discard skips n bytes.
func (c *counter) Discard(n int) (int, error) {
	n, err := c.r.Discard(n)
	c.n += n
	return n, err
}
