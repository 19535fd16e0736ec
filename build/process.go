// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/gizmo-ebpf/gizmo/internal/plain"
)

// maxMessages limits how many bytes of a program's messages are kept.
const maxMessages = 1 << 20

// messages keeps the beginning of a program's output.
type messages struct {
	text []byte
	more int // bytes that were not kept
}

// Write implements io.Writer, and never fails: the program is to go on.
func (m *messages) Write(p []byte) (int, error) {
	n := min(len(p), maxMessages-len(m.text))
	m.text = append(m.text, p[:n]...)
	m.more += len(p) - n
	return len(p), nil
}

// show returns the messages as they can be shown: they have names and lines of files in them.
func (m *messages) show() []byte {
	text := plain.Lines(string(m.text))
	if m.more > 0 {
		text += fmt.Sprintf("\n(and %d bytes more)\n", m.more)
	}
	return []byte(text)
}

func (m *messages) trimmed() []byte { return bytes.TrimSpace(m.show()) }

// run runs a command that was made with a context. If the context ends, or this process, so does the program;
// temp, unless it is empty, is where the program makes its temporary files.
func run(cmd *exec.Cmd, temp string) error {
	cmd.Env = os.Environ()
	if temp != "" {
		cmd.Env = append(cmd.Env, "TMPDIR="+temp)
	}
	// A separate process group gets no Ctrl-C from the terminal. So only this process handles it, and
	// can end everything that the program, which may be a script, has started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second // for processes that left the group and keep the output open
	// Pdeathsig counts from the end of the thread that starts the program.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.Run()
}
