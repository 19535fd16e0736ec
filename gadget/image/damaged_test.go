// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/fixture"
)

// goodObject is the object of a gadget that nothing is wrong with.
func goodObject(t testing.TB) []byte {
	t.Helper()
	parse(t, "minimal")
	return fixture.Compile(t, "minimal").Object
}

func TestErrorsOfDamagedFiles(t *testing.T) {
	t.Parallel()
	good := goodObject(t)
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	bigEndian := make([]byte, 64) // a header and no sections
	copy(bigEndian, "\x7fELF\x02\x02\x01")
	copy(bigEndian[16:], []byte{0, byte(elf.ET_REL), 0, byte(elf.EM_BPF), 0, 0, 0, byte(elf.EV_CURRENT)})
	bigEndian[53] = 64 // its size
	for name, c := range map[string]struct {
		object []byte
		want   string
	}{
		"nothing":      {nil, "gadget object: not a readable BPF object (truncated, or not compiled with clang -target bpf?): EOF"},
		"text":         {[]byte("SEC(\"tracepoint/x\") int f(void) { return 0; }\n"), "gadget object: not a readable BPF object (truncated"},
		"zeros":        {make([]byte, 4096), "gadget object: not a readable BPF object (truncated"},
		"a program":    {program[:min(len(program), maxObject)], "gadget object: it is for the machine EM_"},
		"huge":         {make([]byte, maxObject+1), "gadget object: it has more than 33554432 bytes"},
		"no BTF":       {bytes.ReplaceAll(good, []byte(".BTF\x00"), []byte(".FTB\x00")), "gadget object: it has no BTF: compile it with clang -g"},
		"big-endian":   {bigEndian, "gadget object: its byte order is big-endian: compile it with clang -target bpfel"},
		"license gone": {bytes.ReplaceAll(good, []byte("license\x00"), []byte("LICENSE\x00")), `gadget object: it has no license: add char LICENSE[] SEC("license") = "GPL"`},
	} {
		if _, err := parseObject(c.object, ""); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

// Wherever the file is cut off, it is an error and nothing worse.
func TestTruncatedObjects(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"minimal", "hooks"} {
		parse(t, name)
		object := fixture.Compile(t, name).Object
		for n := 0; n < len(object); n += 1 + len(object)/512 {
			if _, err := parseObject(object[:n], ""); err == nil {
				t.Errorf("%s: %d of %d bytes are taken for whole", name, n, len(object))
			}
		}
		if _, err := parseObject(object[:len(object)-1], ""); err == nil {
			t.Errorf("%s: the last byte is not missed", name)
		}
	}
}

type brokenReader struct{}

func (brokenReader) ReadAt([]byte, int64) (int, error) { return 0, fs.ErrPermission }

func TestUnreadableObject(t *testing.T) {
	t.Parallel()
	if _, err := Parse(brokenReader{}, nil); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
}
