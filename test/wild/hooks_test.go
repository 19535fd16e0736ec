// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wild

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// hook is a kind of hook, or what else a program needs, that a kernel or a machine may lack.
type hook struct {
	name string
	// missing is what gizmo says about a gadget that needs the hook, where it is missing.
	missing string
	// try attaches a program to the hook without gizmo.
	try func() error
	// sources are those of the corpus that need the hook.
	sources []string
	// rare hooks are those that the lab lacks, too.
	rare bool
}

// hooks lists what the sources of the corpus expect of the kernel. A source that is not listed is for every kernel.
var hooks = []hook{
	{
		name: "kprobe", missing: "this kernel has no kprobes", try: tryKprobe,
		sources: []string{"bindwatch", "capwatch", "filelife", "fsslow", "kprobe_macro", "ksyscall", "ttylog"},
	},
	{
		name: "fentry", missing: "this kernel forbids fentry programs", try: tryTracing(ebpf.AttachTraceFEntry, "vfs_read"),
		sources: []string{"fentry_fexit", "tcptopf", "vfscount"},
	},
	{name: "LSM", missing: "this kernel forbids LSM programs", try: tryLSM, sources: []string{"lsm_macro", "lsmwatch"}},
	{
		name: "iterator of maps", missing: "forbids programs of kind iter/bpf_map_elem", try: tryTracing(ebpf.AttachTraceIter, "bpf_map_elem"),
		sources: []string{"hotfiles", "iter_map_elem", "pinned_gpu"},
	},
	{name: "tracepoint of modules", missing: "this kernel has no tracepoint module/", try: tryModules, sources: []string{"modwatch"}},
	{
		// Debian's C library, which the lab shares with this machine, has none.
		name: "USDT probe", missing: "no such USDT probe", try: tryUSDT, sources: []string{"threadbirth", "usdt_probe"}, rare: true,
	},
	{
		// Since Linux 6.8.
		name: "verifier that learns from a comparison with 0", missing: "the kernel's verifier rejected it: invalid zero-sized read",
		try: tryNotZero, sources: []string{"skpeek"}, rare: true,
	},
}

// missingHooks returns, for each source whose hooks this kernel or this machine lacks, what gizmo says about that.
func missingHooks(t *testing.T) map[string]string {
	t.Helper()
	said := make(map[string]string)
	for _, h := range hooks {
		if err := h.try(); err != nil {
			t.Logf("no %s here: %v", h.name, err)
			for _, source := range h.sources {
				said[source] = h.missing
			}
		}
	}
	return said
}

// The lab has every hook but the rare ones.
func TestCorpusFindsHooks(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, h := range hooks {
		err := h.try()
		t.Logf("%s: %v", h.name, err)
		if err != nil && *allHooks && !h.rare {
			t.Errorf("no %s here: %v", h.name, err)
		}
		for _, source := range h.sources {
			if _, err := os.Stat(filepath.Join("corpus", source, "program.bpf.c")); err != nil {
				t.Error(err)
			}
		}
	}
}

// nothing are the instructions of a program that does nothing.
var nothing = asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}

// tryProgram loads a program that does nothing, and attaches it.
func tryProgram(spec *ebpf.ProgramSpec, attach func(*ebpf.Program) (link.Link, error)) error {
	spec.Instructions, spec.License = nothing, "GPL"
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		return err
	}
	defer p.Close()
	l, err := attach(p)
	if err != nil {
		return err
	}
	return l.Close()
}

func tryKprobe() error {
	return tryProgram(&ebpf.ProgramSpec{Type: ebpf.Kprobe}, func(p *ebpf.Program) (link.Link, error) {
		return link.Kprobe("vfs_read", p, nil)
	})
}

func tryTracing(as ebpf.AttachType, to string) func() error {
	return func() error {
		return tryProgram(&ebpf.ProgramSpec{Type: ebpf.Tracing, AttachType: as, AttachTo: to}, func(p *ebpf.Program) (link.Link, error) {
			if as != ebpf.AttachTraceIter {
				return link.AttachTracing(link.TracingOptions{Program: p})
			}
			m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1})
			if err != nil {
				return nil, err
			}
			defer m.Close()
			iter, err := link.AttachIter(link.IterOptions{Program: p, Map: m})
			return iter, err
		})
	}
}

func tryLSM() error {
	return tryProgram(&ebpf.ProgramSpec{Type: ebpf.LSM, AttachType: ebpf.AttachLSMMac, AttachTo: "file_open"}, func(p *ebpf.Program) (link.Link, error) {
		return link.AttachLSM(link.LSMOptions{Program: p})
	})
}

func tryModules() error {
	_, err := os.Stat("/sys/kernel/tracing/events/module/module_load")
	return err
}

// tryUSDT looks for static probes in the C library.
func tryUSDT() error {
	paths, err := filepath.Glob("/lib/*/libc.so.6")
	if err != nil || len(paths) == 0 {
		return errors.Join(err, errors.New("no C library"))
	}
	for _, path := range paths {
		f, err := elf.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if f.Section(".note.stapsdt") != nil {
			return nil
		}
	}
	return fmt.Errorf("%v: no section .note.stapsdt", paths)
}

// tryNotZero loads a program that copies up to 16 bytes of a packet, after it has excluded that there are none.
func tryNotZero() error {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, License: "GPL", Instructions: append(asm.Instructions{
		asm.Mov.Imm(asm.R0, 0),
		asm.StoreMem(asm.RFP, -16, asm.R0, asm.DWord),
		asm.StoreMem(asm.RFP, -8, asm.R0, asm.DWord),
		asm.LoadMem(asm.R4, asm.R1, 0, asm.Word), // the length of the packet
		asm.JLE.Imm(asm.R4, 16, "short"),
		asm.Mov.Imm(asm.R4, 16),
		asm.JEq.Imm(asm.R4, 0, "end").WithSymbol("short"),
		asm.Mov.Imm(asm.R2, 0),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, -16),
		asm.FnSkbLoadBytes.Call(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("end"),
	}, asm.Return())})
	if err != nil {
		return err
	}
	return p.Close()
}
