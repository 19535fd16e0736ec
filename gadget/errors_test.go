// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Every fixture in testdata/errors is wrong in one way, and is told so.
func TestErrorsOfObjects(t *testing.T) {
	t.Parallel()
	var lines []string
	for _, name := range fixtures(t, "errors/*") {
		lines = append(lines, filepath.Base(name)+": "+oneLine(failure(compile(t, name).Object, "")))
	}
	golden(t, "errors.golden", lines)
}

// failure says what is wrong with a gadget, be it for Parse or for Load.
func failure(object []byte, yaml string) string {
	img, err := parseObject(object, yaml)
	if err == nil {
		err = img.Supported()
	}
	return fmt.Sprint(err)
}

func TestErrorsOfMetadata(t *testing.T) {
	t.Parallel()
	object := compile(t, "tracer").Object
	param := func(variable, text string) string {
		return "params:\n  ebpf:\n    " + variable + ":\n      " + text + "\n"
	}
	source := func(text string) string { return "datasources:\n  params:\n    annotations:\n      " + text + "\n" }
	var lines []string
	for _, c := range []struct{ name, yaml string }{
		{"default too large", param("param_u8", `defaultValue: "256"`)},
		{"default of an enum", param("param_colour", `defaultValue: GREN`)},
		{"default not allowed", param("param_turn", "defaultValue: LEFT\n      possibleValues: [RIGHT]")},
		{"impossible value", param("param_turn", "possibleValues: [LEFT, RIHGT]")},
		{"same key", param("param_u8", "key: param_s8")},
		{"same key as a filter", param("param_u8", "key: pid")},
		{"trailing data is a field", source("ebpf.rest.name: u8")},
		{"no such length", source("ebpf.rest.name: tail\n      ebpf.rest.len: length")},
		{"length is no integer", source("ebpf.rest.name: tail\n      ebpf.rest.len: d")},
		{"length is an array", source("ebpf.rest.name: tail\n      ebpf.rest.len: words")},
		{"two errors", param("param_u8", `defaultValue: "-1"`) + source("ebpf.rest.name: proc.pid")},
	} {
		lines = append(lines, c.name+": "+oneLine(failure(object, c.yaml)))
	}
	golden(t, "metadata.errors.golden", lines)
}

// oneLine is for errors that list several.
func oneLine(text string) string { return strings.ReplaceAll(text, "\n", " / ") }

// goodObject is the object of a gadget that nothing is wrong with.
func goodObject(t testing.TB) []byte {
	t.Helper()
	parse(t, "minimal")
	return compile(t, "minimal").Object
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
		"a program":    {program[:min(len(program), maxObject)], "gadget object: it is made for the machine EM_"},
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
		object := compile(t, name).Object
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

func TestExplainLoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		is   error
		want string
	}{
		{unix.EPERM, ErrPrivileges, "missing privileges: the kernel refused to load the gadget (a container or a security module may forbid it): operation not permitted"},
		{unix.E2BIG, unix.E2BIG, "load the gadget: argument list too long"},
		{unix.ENOMEM, unix.ENOMEM, "load the gadget: the kernel has not enough memory for it: a smaller --buffer-size takes less; " +
			"a higher limit of this process's control group allows more: cannot allocate memory"},
		{&ebpf.VerifierError{Cause: unix.EPERM}, ErrPrivileges, "missing privileges: "},
	} {
		got := explainLoad(nil, fmt.Errorf("program x: %w", c.err))
		if !errors.Is(got, c.is) || !errors.Is(got, c.err) || !strings.HasPrefix(strings.ReplaceAll(got.Error(), "program x: ", ""), c.want) {
			t.Errorf("got %v, want %s", got, c.want)
		}
	}
}

func TestExplainKernelBTF(t *testing.T) {
	t.Parallel()
	got := explainKernelBTF(fs.ErrNotExist)
	want := "this kernel has no BTF (/sys/kernel/btf/vmlinux), which gadgets need to find their way in its structs; " +
		"it takes a kernel built with CONFIG_DEBUG_INFO_BTF=y: file does not exist"
	if got.Error() != want || !errors.Is(got, fs.ErrNotExist) {
		t.Errorf("got %v", got)
	}
}

func TestLastWord(t *testing.T) {
	t.Parallel()
	for want, log := range map[string][]string{
		"no reason given":   {"", "processed 3 insns (limit 1000000)", "max_states_per_insn 0"},
		"R0 invalid access": {"0: (95) exit", "R0 invalid access", "processed 1 insns", "", " "},
		"only":              {"  only "},
	} {
		if got := lastWord(log); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A file with wrong bytes is an image or an error, and nothing worse.
func TestDamagedBytes(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	object := goodObject(t)
	for range 1500 {
		damaged := bytes.Clone(object)
		for range 1 + rng.IntN(3) {
			at := rng.IntN(len(damaged) - 8)
			switch rng.IntN(4) {
			case 0:
				damaged[at] ^= 1 << rng.IntN(8)
			case 1:
				damaged[at] = byte(rng.Uint32())
			case 2:
				binary.LittleEndian.PutUint32(damaged[at&^3:], 1<<rng.IntN(32)-1)
			default:
				binary.LittleEndian.PutUint64(damaged[at&^7:], 1<<rng.IntN(64)-1)
			}
		}
		if img := parseAnything(damaged, nil); img != nil {
			checkImage(t, img)
		}
	}
}
