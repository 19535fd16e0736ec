// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// program is a program to start in a new process.
type program struct {
	name string
	args []string
	mode string // empty: it exits at once
	dir  string // empty: the current directory
	user int    // 0: root

	// gets are the arguments that it gets if these are others: a script's.
	gets []string
	// exe is the program that runs, if it is not "program".
	exe string
	// cwd is its current directory if that is not the folder.
	cwd string
}

func (t *thread) startAll(programs []program) {
	for _, p := range programs {
		t.start(p)
	}
}

// start starts a program, lists its event and waits until the process has ended.
func (t *thread) start(p program) (pid int) {
	if p.mode == "" {
		p.mode = modeExit
	}
	attr := syscall.ProcAttr{
		Dir: p.dir, Env: []string{modeVar + "=" + p.mode}, Files: []uintptr{0, 1, 2},
		Sys: &syscall.SysProcAttr{},
	}
	if p.user != 0 {
		attr.Sys.Credential = &syscall.Credential{Uid: uint32(p.user), Gid: uint32(p.user)}
	}
	pid, err := syscall.ForkExec(p.name, p.args, &attr)
	workload.Check(fmt.Sprintf("start %.80q", p.name), err)
	t.Events = append(t.Events, t.started(pid, p))
	var status syscall.WaitStatus
	_, err = syscall.Wait4(pid, &status, 0, nil)
	if err == nil && status != 0 {
		err = fmt.Errorf("it ended with status %#x", status)
	}
	workload.Check(fmt.Sprintf("wait for %.80q", p.name), err)
	return pid
}

func (t *thread) started(pid int, p program) Event {
	e := t.event(pid)
	e.setFname(p.name)
	comm := path.Base(p.name)
	e.Proc.Comm = comm[:min(len(comm), roomComm-1)]
	if p.user != 0 {
		e.Proc.Creds = workload.Creds{UID: p.user, GID: p.user}
	}
	if p.gets == nil {
		p.gets = p.args
	}
	e.setArgs(p.gets)
	if p.cwd != "" {
		e.Cwd = workload.CutPath(p.cwd)
	}
	if p.exe != "" {
		e.Exepath = t.path(p.exe)
	}
	return e
}

func waysToStart(f *files) []program {
	const nobody = 65534
	programs := []program{
		{name: "./program", args: []string{"program"}},
		{name: f.path("program"), args: []string{"another name", "an argument"}},
		{name: "./link", args: []string{"link"}},
		{name: "./script", args: []string{"script", "one", "two"}, gets: []string{f.path("program"), "-x", "./script", "one", "two"}},
		{name: "./program", args: []string{"program"}, user: nobody},
		{name: f.path("program"), args: []string{"program"}, dir: "/", cwd: "/"},
		{name: f.path("program"), args: []string{"program"}, dir: f.deep(), cwd: f.deep()},
		{name: workload.Padded("program", roomFname-1), args: []string{"program"}},
		{name: workload.Padded("program", roomFname), args: []string{"program"}},
		{name: workload.Padded("program", unix.PathMax-1), args: []string{"program"}},
	}
	for _, name := range oddNames {
		programs = append(programs, program{name: "./" + name, args: []string{name}, exe: name})
	}
	return programs
}

func argsToStart() []program {
	var programs []program
	for _, args := range [][]string{
		{"", "", "x", ""},
		{"two words", "Grüße 世界", "\x1b[31mred\x1b[0m", "line\nbreak", `"\`, "not\xffutf8"},
		{"1234567"}, {"12345678"}, {"123456", "8"},
		{strings.Repeat("a", roomArgs-2)},
		{strings.Repeat("a", roomArgs-1)},
		{strings.Repeat("a", roomArgs)},
		{strings.Repeat("a", 100), strings.Repeat("b", 100_000)},
		append(many(roomArgs/2-1), ""),
		many(roomArgs / 2),
		many(10_000),
	} {
		programs = append(programs, program{name: "./program", args: args})
	}
	return programs
}

// many is n arguments of one byte.
func many(n int) []string { return strings.Split(strings.Repeat("x", n), "") }
