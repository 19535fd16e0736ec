// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// encode makes a record: the header, the body, the time.
func encode(kind uint32, misc uint16, time uint64, body ...any) []byte {
	var b bytes.Buffer
	for _, v := range append(body, time) {
		if text, ok := v.(string); ok {
			v = append([]byte(text), make([]byte, 8-len(text)%8)...)
		}
		if err := binary.Write(&b, binary.NativeEndian, v); err != nil {
			panic(err)
		}
	}
	header := make([]byte, recordHeader)
	binary.NativeEndian.PutUint32(header, kind)
	binary.NativeEndian.PutUint16(header[4:], misc)
	binary.NativeEndian.PutUint16(header[6:], uint16(recordHeader+b.Len()))
	return append(header, b.Bytes()...)
}

func mmap2(time uint64, pid uint32, lo, size, offset, inode uint64, name string) []byte {
	return encode(unix.PERF_RECORD_MMAP2, unix.PERF_RECORD_MISC_USER, time,
		pid, pid, lo, size, offset, uint32(8), uint32(1), inode, uint64(77), uint32(5), uint32(2), name)
}

func TestParseRecord(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		data []byte
		want rawRecord
	}{
		"map": {mmap2(9, 5, 0x1000, 0x2000, 0x3000, 42, "/bin/a b"), rawRecord{
			kind: recordMap, time: 9, pid: 5, tid: 5, lo: 0x1000, hi: 0x3000, offset: 0x3000,
			file: fileKey{8, 1, 42}, generation: 77, name: []byte("/bin/a b"),
		}},
		"exec": {
			encode(unix.PERF_RECORD_COMM, unix.PERF_RECORD_MISC_COMM_EXEC, 10, uint32(5), uint32(5), "sh"),
			rawRecord{kind: recordExec, time: 10, pid: 5, tid: 5},
		},
		"name": {
			encode(unix.PERF_RECORD_COMM, 0, 10, uint32(5), uint32(6), "sh"),
			rawRecord{kind: recordOther, time: 10, pid: 5, tid: 6},
		},
		"fork": {
			encode(unix.PERF_RECORD_FORK, 0, 11, uint32(7), uint32(5), uint32(8), uint32(6), uint64(11)),
			rawRecord{kind: recordFork, time: 11, pid: 7, parent: 5, tid: 8},
		},
		"exit": {
			encode(unix.PERF_RECORD_EXIT, 0, 12, uint32(7), uint32(5), uint32(8), uint32(6), uint64(12)),
			rawRecord{kind: recordExit, time: 12, pid: 7, parent: 5, tid: 8},
		},
		"lost": {
			encode(unix.PERF_RECORD_LOST, 0, 13, uint64(1), uint64(99)),
			rawRecord{kind: recordLost, time: 13, lost: 99},
		},
		"throttle": {encode(unix.PERF_RECORD_THROTTLE, 0, 14, uint64(1)), rawRecord{time: 14}},
	}
	for name, test := range tests {
		var got rawRecord
		if !parseRecord(test.data, &got) {
			t.Errorf("%s: rejected", name)
			continue
		}
		if !bytes.Equal(got.name, test.want.name) {
			t.Errorf("%s: name %q, want %q", name, got.name, test.want.name)
		}
		got.name, test.want.name = nil, nil
		if !equalRecords(&got, &test.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
	// A record that ends early is none.
	for name, test := range tests {
		for n := range len(test.data) - 16 {
			var r rawRecord
			if parseRecord(test.data[:n], &r) && r.kind != recordOther && r.kind != recordExec && r.kind != recordMap {
				t.Errorf("%s: %d bytes are %+v", name, n, r)
			}
		}
	}
	for name, data := range map[string][]byte{
		"empty mapping":    mmap2(9, 5, 0x1000, 0, 0, 42, "/a"),
		"mapping too long": mmap2(9, 5, 0x1000, 1<<64-1, 0, 42, "/a"),
		"build id":         encode(unix.PERF_RECORD_MMAP2, unix.PERF_RECORD_MISC_MMAP_BUILD_ID, 9, make([]byte, 80)),
	} {
		var r rawRecord
		if parseRecord(data, &r) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func equalRecords(a, b *rawRecord) bool {
	return a.time == b.time && a.kind == b.kind && a.pid == b.pid && a.tid == b.tid && a.parent == b.parent &&
		a.lo == b.lo && a.hi == b.hi && a.offset == b.offset && a.file == b.file && a.generation == b.generation && a.lost == b.lost
}

const someMaps = `55d0c6a00000-55d0c6a02000 r--p 00000000 fe:00 1234                       /usr/bin/a program
55d0c6a02000-55d0c6a07000 r-xp 00002000 fe:00 1234                       /usr/bin/a program
7f0000000000-7f0000001000 rwxp 00000000 00:00 0 
7f1c3a000000-7f1c3a100000 r-xs 0001f000 00:1f 18446744073709551615       /tmp/two\012lines (deleted)
7ffd1f5f8000-7ffd1f5fa000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
`

func readAll(t testing.TB, text string) (all []rawRecord, err error) {
	t.Helper()
	var m mapsReader
	err = m.readFrom(strings.NewReader(text), func(r *rawRecord) {
		c := *r
		c.name = bytes.Clone(r.name)
		all = append(all, c)
	})
	return all, err
}

func TestReadMaps(t *testing.T) {
	t.Parallel()
	got, err := readAll(t, someMaps)
	if err != nil {
		t.Fatal(err)
	}
	want := []rawRecord{
		{kind: recordMap, lo: 0x55d0c6a02000, hi: 0x55d0c6a07000, offset: 0x2000, file: fileKey{0xfe, 0, 1234}, name: []byte("/usr/bin/a program")},
		{kind: recordMap, lo: 0x7f0000000000, hi: 0x7f0000001000},
		{kind: recordMap, lo: 0x7f1c3a000000, hi: 0x7f1c3a100000, offset: 0x1f000, file: fileKey{0, 0x1f, 1<<64 - 1}, name: []byte("/tmp/two\nlines (deleted)")},
		{kind: recordMap, lo: 0x7ffd1f5f8000, hi: 0x7ffd1f5fa000, name: []byte("[vdso]")},
		{kind: recordMap, lo: 0xffffffffff600000, hi: 0xffffffffff601000, name: []byte("[vsyscall]")},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d mappings, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if !equalRecords(&got[i], &want[i]) || !bytes.Equal(got[i].name, want[i].name) {
			t.Errorf("got %+v\nwant %+v", got[i], want[i])
		}
	}
}

func TestReadOddMaps(t *testing.T) {
	t.Parallel()
	if _, err := readAll(t, ""); !errors.Is(err, errNoMappings) {
		t.Errorf("no lines: %v", err)
	}
	for _, line := range []string{
		"", "x", "1-2 r-xp", "2-1 r-xp 0 0:0 0", "1-2 rwxp 0 0:0", "1-2 rwxp g 0:0 1", "1-2 rwxp 0 00 1",
		"1-2 rwxp 0 1ffffffff:0 1", "11111111111111111-2 rwxp 0 0:0 1", "1_0-2_0 r-xp 0 0:0 1", "1-2 rw-p 0 0:0 1",
	} {
		if got, err := readAll(t, line+"\n"); err != nil || len(got) != 0 {
			t.Errorf("%q: %+v, %v", line, got, err)
		}
	}
	long := "1000-2000 r-xp 0 0:0 1 /" + strings.Repeat("a", 3*maxLine) + "\n"
	got, err := readAll(t, long+someMaps)
	if err != nil || len(got) < 5 {
		t.Errorf("after a line that is too long: %d mappings, %v", len(got), err)
	}
}

func FuzzReadMaps(f *testing.F) {
	f.Add([]byte(someMaps))
	f.Add([]byte("1-2 r-xp 0 0:0 0\n\n1-2 r-xp"))
	if own, err := os.ReadFile("/proc/self/maps"); err == nil {
		f.Add(own)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var m mapsReader
		m.readFrom(bytes.NewReader(data), func(r *rawRecord) {
			if r.hi <= r.lo || r.kind != recordMap || len(r.name) > maxLine {
				t.Errorf("%+v", r)
			}
		})
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add(mmap2(9, 5, 0x1000, 0x2000, 0x3000, 42, "/bin/true"))
	f.Add(encode(unix.PERF_RECORD_FORK, 0, 11, uint32(7), uint32(5), uint32(8), uint32(6), uint64(11)))
	f.Add(encode(unix.PERF_RECORD_COMM, unix.PERF_RECORD_MISC_COMM_EXEC, 10, uint32(5), uint32(5), "sh"))
	f.Add(encode(unix.PERF_RECORD_LOST, 0, 13, uint64(1), uint64(99)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r rawRecord
		if parseRecord(data, &r) && r.kind == recordMap && r.hi <= r.lo {
			t.Errorf("%+v", r)
		}
	})
}

// FuzzState applies any records, in small limits; what is known stays consistent.
func FuzzState(f *testing.F) {
	seed := bytes.Join([][]byte{
		encode(unix.PERF_RECORD_FORK, 0, 11, uint32(7), uint32(5), uint32(7), uint32(6), uint64(11)),
		mmap2(9, 5, 0x1000, 0x2000, 0x3000, 42, "/bin/true"),
		encode(unix.PERF_RECORD_COMM, unix.PERF_RECORD_MISC_COMM_EXEC, 10, uint32(5), uint32(5), "sh"),
		encode(unix.PERF_RECORD_EXIT, 0, 12, uint32(7), uint32(5), uint32(8), uint32(6), uint64(12)),
		encode(unix.PERF_RECORD_LOST, 0, 13, uint64(1), uint64(99)),
	}, nil)
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := smallState()
		for len(data) >= recordHeader {
			n := int(binary.NativeEndian.Uint16(data[6:]))
			if n < recordHeader || n > len(data) {
				break
			}
			var r rawRecord
			if parseRecord(data[:n], &r) && r.kind != recordOther {
				m := mapping{lo: r.lo, hi: r.hi, offset: r.offset, born: r.time, kind: Anonymous}
				s.pending = append(s.pending, record{time: r.time, kind: r.kind, pid: r.pid, tid: r.tid, parent: r.parent, mapping: m})
			}
			data = data[n:]
		}
		s.apply(always)
		checkState(t, s)
		s.clean(always, 0)
		checkState(t, s)
	})
}
