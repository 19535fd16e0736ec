// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strconv"
	"strings"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// files are the programs to execute, and the fields that are the same in all events.
type files struct {
	dir  string // absolute and free of symbolic links; the current directory, too
	self string // this program

	loginUID, sessionID uint32
}

// Names that need care on the way to a terminal or into JSON. The fourth loses a part of a character
// where the kernel cuts it.
var oddNames = []string{
	"two words",
	"\x1b[31mred\x1b[0m",
	`quote"back\slash`,
	"four-and-ten-ü",
	"line\nbreak",
	"n" + strings.Repeat("x", 254),
}

// newFiles makes files in dir and changes to it.
func newFiles(dir string) *files {
	f := &files{
		dir: workload.Must(workload.EnterDir(dir)), self: workload.Must(os.Executable()),
		loginUID: idFrom("/proc/self/loginuid"), sessionID: idFrom("/proc/self/sessionid"),
	}
	f.make()
	return f
}

// idFrom reads an id of the kernel's audit, which not every kernel has.
func idFrom(file string) uint32 {
	text, _ := os.ReadFile(file)
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil {
		return ^uint32(0)
	}
	return uint32(id)
}

func (f *files) make() {
	program := workload.Must(os.ReadFile(f.self))
	for _, err := range []error{
		os.WriteFile("program", program, 0o755),
		os.WriteFile("script", []byte("#!"+f.path("program")+" -x\n"), 0o755),
		os.WriteFile("orphan", []byte("#!"+f.path("missing")+"\n"), 0o755),
		os.WriteFile("garbage", []byte("no program"), 0o755),
		os.WriteFile("data", program, 0o644),
		os.MkdirAll(f.deep(), 0o755),
		os.Symlink("loop", "loop"),
		os.Symlink("program", "link"),
	} {
		workload.Check("make a file", err)
	}
	for _, name := range oddNames {
		workload.Check("make another name", os.Link("program", name))
	}
}

// path is that of a file in the folder.
func (f *files) path(name string) string { return f.dir + "/" + name }

// deep is a folder whose path is too long for cwd.
func (f *files) deep() string { return f.path(strings.Repeat(strings.Repeat("d", 59)+"/", 9) + "end") }
