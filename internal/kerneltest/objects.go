// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Object is a BPF object in the kernel.
type Object struct {
	Kind string // as in fdinfo: "prog", "map", "link"
	ID   uint32
	Prog uint32 // of a link, the id of its program
}

// ObjectsOf returns the BPF objects for which a process has descriptors.
func ObjectsOf(pid int) []Object {
	infos, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	var held []Object
	for _, info := range infos {
		text, err := os.ReadFile(info)
		if err != nil {
			continue // closed meanwhile
		}
		if o, ok := ParseObject(string(text)); ok {
			held = append(held, o)
		}
	}
	return held
}

// ParseObject parses the fdinfo of a descriptor. That of a link also names its program.
func ParseObject(fdinfo string) (Object, bool) {
	prog, _ := fdinfoID(fdinfo, "prog")
	for _, kind := range []string{"link", "map", "prog"} {
		if id, ok := fdinfoID(fdinfo, kind); ok {
			return Object{kind, id, prog}, true
		}
	}
	return Object{}, false
}

func fdinfoID(fdinfo, kind string) (uint32, bool) {
	_, rest, ok := strings.Cut(fdinfo, "\n"+kind+"_id:\t")
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseUint(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]), 10, 32)
	return uint32(id), err == nil
}

// Exists asks the kernel whether the object still exists.
func (o Object) Exists() bool {
	var err error
	switch o.Kind {
	case "prog":
		p, e := ebpf.NewProgramFromID(ebpf.ProgramID(o.ID))
		p.Close()
		err = e
	case "map":
		// Opening it could keep it: the kernel empties a BPF_MAP_TYPE_PROG_ARRAY in the background after the last descriptor of it is closed, and if
		// another one is opened and closed meanwhile, counts a reference that it never gives back.
		next, e := ebpf.MapGetNextID(ebpf.MapID(o.ID - 1))
		return e == nil && next == ebpf.MapID(o.ID)
	case "link":
		l, e := link.NewFromID(link.ID(o.ID))
		if e == nil {
			l.Close()
		}
		err = e
	}
	return !errors.Is(err, fs.ErrNotExist)
}

// The files in which the kernel lists probes that were made by name.
const (
	KprobeFile = "/sys/kernel/tracing/kprobe_events"
	UprobeFile = "/sys/kernel/tracing/uprobe_events"
)

// Leftovers lists the objects that no descriptor holds: pinned objects, and probes that were made by name.
func Leftovers() ([]string, error) {
	var all []string
	err := filepath.WalkDir("/sys/fs/bpf", func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, path := range []string{KprobeFile, UprobeFile} {
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			all = append(all, line)
		}
	}
	return all, nil
}
