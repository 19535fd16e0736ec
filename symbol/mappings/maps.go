// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"strconv"
)

const (
	// maxLine holds any path: the kernel writes paths of at most PATH_MAX bytes, and a newline in them as four characters.
	maxLine = 4*4096 + 256
	// maxMapsBytes bounds the time for one process: a line has about 70 bytes, and vm.max_map_count is 65,530 by default.
	maxMapsBytes = 32 << 20
)

// mapsReader reads files maps of processes. The lines that it returns lie in its buffer.
type mapsReader struct {
	buf *bufio.Reader
}

// read calls each with the executable mappings in the file of this path, in ascending order. It returns an error if the process has none
// to show: it is gone, a zombie or a thread of the kernel.
func (m *mapsReader) read(path string, each func(*rawRecord)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return m.readFrom(io.LimitReader(f, maxMapsBytes), each)
}

var errNoMappings = errors.New("the process has no memory")

func (m *mapsReader) readFrom(from io.Reader, each func(*rawRecord)) error {
	if m.buf == nil {
		m.buf = bufio.NewReaderSize(nil, maxLine)
	}
	m.buf.Reset(from)
	var r rawRecord
	any := false
	for {
		line, err := m.buf.ReadSlice('\n')
		switch {
		case err == nil:
			any = true
			if parseMapsLine(line[:len(line)-1], 'x', &r) {
				each(&r)
			}
		case errors.Is(err, bufio.ErrBufferFull): // no line of the kernel's: skip it
		case errors.Is(err, io.EOF) && any:
			return nil
		case errors.Is(err, io.EOF):
			return errNoMappings
		default:
			return err
		}
	}
}

// parseMapsLine reads "LO-HI rwxp OFFSET MAJOR:MINOR INODE   NAME". It returns false if the mapping lacks a permission or the
// line is no such line.
func parseMapsLine(line []byte, permission byte, r *rawRecord) bool {
	var fields [5][]byte
	for i := range fields {
		line = bytes.TrimLeft(line, " ")
		fields[i], line, _ = bytes.Cut(line, []byte{' '})
	}
	if bytes.IndexByte(fields[1], permission) < 0 {
		return false
	}
	lo, hi, isRange := bytes.Cut(fields[0], []byte{'-'})
	major, minor, isDevice := bytes.Cut(fields[3], []byte{':'})
	*r = rawRecord{kind: recordMap, name: unescape(bytes.TrimLeft(line, " "))}
	ok := isRange && isDevice &&
		parseUint(lo, 16, &r.lo) && parseUint(hi, 16, &r.hi) && parseUint(fields[2], 16, &r.offset) &&
		parseUint32(major, &r.file.major) && parseUint32(minor, &r.file.minor) && parseUint(fields[4], 10, &r.file.inode)
	return ok && r.hi > r.lo
}

// unescape undoes in place what the kernel does to the newlines in a name.
func unescape(name []byte) []byte {
	const newline = `\012`
	if !bytes.Contains(name, []byte(newline)) {
		return name
	}
	out := name[:0]
	for len(name) > 0 {
		if bytes.HasPrefix(name, []byte(newline)) {
			out, name = append(out, '\n'), name[len(newline):]
			continue
		}
		out, name = append(out, name[0]), name[1:]
	}
	return out
}

// parseUint reads a number without converting it to a string that outlives the call.
func parseUint(b []byte, base int, to *uint64) bool {
	v, err := strconv.ParseUint(string(b), base, 64)
	*to = v
	return err == nil
}

func parseUint32(b []byte, to *uint32) bool {
	var v uint64
	if !parseUint(b, 16, &v) || v > math.MaxUint32 {
		return false
	}
	*to = uint32(v)
	return true
}
