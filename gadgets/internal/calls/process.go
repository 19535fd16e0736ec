// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package calls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// Process is a program that has been started and waits.
type Process struct {
	program *Program
	comm    string
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     io.Reader
}

// Start makes a folder for a program's file, which is called comm, and starts the program. It returns when all that its start takes has
// been done. The program has the files as its descriptors 3 and up.
func Start(p *Program, sys System, dir, comm string, files ...*os.File) (*Process, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, comm)
	// The kernel executes no file that somebody has open for writing, and that may be a child that another goroutine starts in this moment.
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, p.file(sys), 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, err
	}
	proc := &Process{program: p, comm: comm, cmd: exec.Command(path)}
	proc.cmd.Stderr = os.Stderr
	proc.cmd.ExtraFiles = files
	var err1, err2 error
	proc.in, err1 = proc.cmd.StdinPipe()
	proc.out, err2 = proc.cmd.StdoutPipe()
	if err := errors.Join(err1, err2, proc.cmd.Start()); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(proc.out, make([]byte, 8)); err != nil {
		return nil, fmt.Errorf("%s does not start: %w", path, errors.Join(err, proc.cmd.Wait()))
	}
	return proc, nil
}

// GoOn lets the program make its calls.
func (p *Process) GoOn() error { return p.in.Close() }

// Finish returns the program's memory at its end, by words, and the process as events have it, once it has ended.
func (p *Process) Finish() ([]uint64, workload.Proc, error) {
	words := make([]uint64, len(p.program.words))
	if err := binary.Read(p.out, binary.LittleEndian, words); err != nil {
		return nil, workload.Proc{}, fmt.Errorf("%s: %w", p.comm, errors.Join(err, p.cmd.Wait()))
	}
	self, err := workload.Self()
	if err != nil {
		return nil, workload.Proc{}, err
	}
	proc := self.Child(p.comm, p.cmd.Process.Pid)
	proc.Parent.Comm = self.Comm
	if err := p.cmd.Wait(); err != nil {
		return nil, workload.Proc{}, fmt.Errorf("%s: %w", p.comm, err)
	}
	return words, proc, nil
}
