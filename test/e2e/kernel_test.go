// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// object is something of BPF that lives in the kernel.
type object struct {
	kind string // as in fdinfo: "prog", "map", "link"
	id   uint32
}

// objectsOf returns what a process holds in the kernel.
func objectsOf(pid int) []object {
	infos, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	var held []object
	for _, info := range infos {
		text, err := os.ReadFile(info)
		if err != nil {
			continue // closed meanwhile
		}
		if o, ok := parseObject(string(text)); ok {
			held = append(held, o)
		}
	}
	return held
}

// parseObject reads the fdinfo of a file descriptor. A link's names its program, too.
func parseObject(fdinfo string) (object, bool) {
	for _, kind := range []string{"link", "map", "prog"} {
		_, rest, ok := strings.Cut(fdinfo, "\n"+kind+"_id:\t")
		if !ok {
			continue
		}
		id, err := strconv.ParseUint(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]), 10, 32)
		return object{kind, uint32(id)}, err == nil
	}
	return object{}, false
}

// exists asks the kernel whether the object is still there.
func (o object) exists() bool {
	var err error
	switch o.kind {
	case "prog":
		p, e := ebpf.NewProgramFromID(ebpf.ProgramID(o.id))
		p.Close()
		err = e
	case "map":
		m, e := ebpf.NewMapFromID(ebpf.MapID(o.id))
		m.Close()
		err = e
	case "link":
		l, e := link.NewFromID(link.ID(o.id))
		if e == nil {
			l.Close()
		}
		err = e
	}
	return !errors.Is(err, fs.ErrNotExist)
}

// waitAttached waits until all programs of a gadget are attached: a probe event would tell, too,
// but would have to be made anew for every kind of gadget. It returns all that gizmo holds.
func (p *process) waitAttached(t testing.TB) []object {
	t.Helper()
	var held []object
	eventually(t, "attached", func() bool {
		select {
		case <-p.ended:
			t.Fatalf("gizmo has ended: %v\n%s", p.cmd.ProcessState, p.err.String())
		default:
		}
		held = objectsOf(p.cmd.Process.Pid)
		n := make(map[string]int)
		for _, o := range held {
			n[o.kind]++
		}
		return n["prog"] > 0 && n["link"] == n["prog"]
	})
	return held
}

// wantGone checks that the kernel has got rid of the objects, which it does in its own time.
func wantGone(t testing.TB, objects []object) {
	t.Helper()
	if len(objects) == 0 {
		t.Fatal("there were no objects to look for")
	}
	for _, o := range objects {
		for deadline := time.Now().Add(patience); o.exists(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("%s %d is still in the kernel", o.kind, o.id)
				break
			}
		}
	}
}

// programsNamed returns the ids of the kernel's programs with one of the names.
func programsNamed(t testing.TB, names ...string) map[uint32]string {
	t.Helper()
	found := make(map[uint32]string)
	for id := ebpf.ProgramID(0); ; {
		next, err := ebpf.ProgramGetNextID(id)
		if errors.Is(err, fs.ErrNotExist) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		id = next
		p, err := ebpf.NewProgramFromID(id)
		if err != nil {
			continue // unloaded meanwhile
		}
		if info, err := p.Info(); err == nil {
			for _, name := range names {
				if name[:min(len(name), 15)] == info.Name {
					found[uint32(id)] = info.Name
				}
			}
		}
		p.Close()
	}
}

// pins lists what is pinned.
func pins(t testing.TB) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir("/sys/fs/bpf", func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}
