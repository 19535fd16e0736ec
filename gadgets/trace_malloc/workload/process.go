// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// process is a script that has been started and waits.
type process struct {
	script *script
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    io.Reader
}

// comm is the name of all processes, and of the files with their programs.
const comm = "malloc-calls"

// start starts a script and returns when all that its start takes has been done.
func start(s *script, sys system, dir string) (*process, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, comm)
	if err := os.WriteFile(path, s.file(sys), 0o755); err != nil {
		return nil, err
	}
	p := &process{script: s, cmd: exec.Command(path)}
	p.cmd.Stderr = os.Stderr
	var err1, err2 error
	p.in, err1 = p.cmd.StdinPipe()
	p.out, err2 = p.cmd.StdoutPipe()
	if err := errors.Join(err1, err2, p.cmd.Start()); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(p.out, make([]byte, 8)); err != nil {
		return nil, fmt.Errorf("%s does not start: %w", path, errors.Join(err, p.cmd.Wait()))
	}
	return p, nil
}

// goOn lets the script make its calls.
func (p *process) goOn() error { return p.in.Close() }

// finish returns the events, once the process has ended.
func (p *process) finish() ([]Event, error) {
	words := make([]uint64, len(p.script.words))
	if err := binary.Read(p.out, binary.LittleEndian, words); err != nil {
		return nil, fmt.Errorf("%s: %w", comm, errors.Join(err, p.cmd.Wait()))
	}
	proc, err := p.proc()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Wait(); err != nil {
		return nil, fmt.Errorf("%s: %w", comm, err)
	}
	return p.script.results(words, proc), nil
}

func (p *process) proc() (workload.Proc, error) {
	self, err := workload.Self()
	proc := self.Child(comm, p.cmd.Process.Pid)
	proc.Parent.Comm = self.Comm
	return proc, err
}
