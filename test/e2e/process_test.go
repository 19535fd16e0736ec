// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for something that should take no time, because the machine may be busy or
// emulated.
const patience = time.Minute

// nobody is a user without privileges.
const nobody = 65534

// setup says how a program is started. The zero value is the usual way.
type setup struct {
	// helper is the mode of the helper that starts the program; see helper.
	helper string
	// gizmo is the path of a program in the place of gizmoPath.
	gizmo string
	// user is the id of the user who runs the program.
	user uint32
	// env is added to the environment.
	env []string
	dir string
	in  io.Reader
	// out takes the place of the buffer that keeps the output.
	out *os.File
	// containersOnly leaves out --host, which the events of tests, which run in no container, need.
	containersOnly bool
}

// process is a running program.
type process struct {
	cmd      *exec.Cmd
	out, err capture
	started  time.Time
	ended    chan struct{}
	exitedIn time.Duration // from the start, valid once ended
}

// start starts gizmo. It is killed, with all that it started, at the end of the test.
func start(t testing.TB, s setup, args ...string) *process {
	t.Helper()
	program := cmp.Or(s.gizmo, gizmoPath)
	if !s.containersOnly {
		args = withHost(args)
	}
	if s.helper != "" {
		return startProgram(t, withHelper(s), append([]string{os.Args[0], program}, args...))
	}
	return startProgram(t, s, append([]string{program}, args...))
}

// withHost adds --host to the arguments of a run of a gadget.
func withHost(args []string) []string {
	if len(args) < 2 || args[0] != "run" || strings.HasPrefix(args[1], "-") || slices.Contains(args, "--host") {
		return args
	}
	return slices.Insert(slices.Clone(args), 2, "--host")
}

func withHelper(s setup) setup {
	s.env = append(s.env, helperMode+"="+s.helper)
	return s
}

// startProgram is start for any program.
func startProgram(t testing.TB, s setup, argv []string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = s.dir, s.in, &p.out, &p.err
	p.cmd.Env = append(os.Environ(), s.env...)
	if s.out != nil {
		p.cmd.Stdout = s.out
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if s.user != 0 {
		p.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: s.user, Gid: s.user}
	}
	if strings.HasPrefix(s.helper, "hide-") {
		p.cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		p.exitedIn = time.Since(p.started)
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
	})
	return p
}

// run runs gizmo to its end.
func run(t testing.TB, s setup, args ...string) *process {
	t.Helper()
	p := start(t, s, args...)
	p.wait(t)
	return p
}

// wait waits for the end and returns the exit code, -1 after a signal.
func (p *process) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Signal(syscall.SIGQUIT) // gizmo shows what it is doing
		select {
		case <-p.ended:
		case <-time.After(5 * time.Second):
		}
		t.Fatalf("%v has not ended after %v; standard error:\n%s", p.cmd.Args[1:], patience, p.err.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

// wantExit waits for the end and checks the exit code.
func (p *process) wantExit(t testing.TB, code int) {
	t.Helper()
	if got := p.wait(t); got != code {
		t.Fatalf("%v: %v, want exit code %d; standard error:\n%s", p.cmd.Args[1:], p.cmd.ProcessState, code, p.err.String())
	}
}

// signal sends a signal to the program alone.
func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// interrupt is a Ctrl-C that ends a run in good order.
func (p *process) interrupt(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGINT)
	p.wantExit(t, 0)
}

// wantErr checks that all of these are on standard error.
func (p *process) wantErr(t testing.TB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(p.err.String(), text) {
			t.Errorf("%v: standard error lacks %q:\n%s", p.cmd.Args[1:], text, p.err.String())
		}
	}
}

// wantNoOut checks that there is nothing on standard output.
func (p *process) wantNoOut(t testing.TB) {
	t.Helper()
	if got := p.out.String(); got != "" {
		t.Errorf("%v: unexpected output:\n%s", p.cmd.Args[1:], got)
	}
}

// wantAlone checks that an ended program has left no process behind. It waits, because a process that has just been
// killed may take a moment to end.
func (p *process) wantAlone(t testing.TB) {
	t.Helper()
	eventually(t, "all processes of the program have ended", func() bool {
		return errors.Is(syscall.Kill(-p.cmd.Process.Pid, 0), syscall.ESRCH)
	})
}

// eventually waits until holds returns true. It waits longer each time, because each check takes CPU time from the
// processes that it waits for.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	const longest = 25 * time.Millisecond
	pause := 2 * time.Millisecond
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(pause) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not: %s", patience, what)
		}
		pause = min(pause*5/4, longest)
	}
}

// capture keeps the output of a program. It keeps pieces: a buffer that grows takes a new place for all that came so far, and where
// memory is slow the program waits for that longer than gizmo waits for a reader.
type capture struct {
	mu     sync.Mutex
	pieces [][]byte
	size   int
	first  time.Time // when the first bytes came
}

// pieceSize is how much room a piece has at least.
const pieceSize = 64 << 10

func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first.IsZero() {
		c.first = time.Now()
	}
	last := len(c.pieces) - 1
	if last < 0 || cap(c.pieces[last])-len(c.pieces[last]) < len(p) {
		c.pieces = append(c.pieces, make([]byte, 0, max(pieceSize, len(p))))
		last++
	}
	c.pieces[last] = append(c.pieces[last], p...)
	c.size += len(p)
	return len(p), nil
}

// String returns the output so far.
func (c *capture) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(bytes.Join(c.pieces, nil))
}

// Len returns how much came so far.
func (c *capture) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size
}

// firstAt returns when the first bytes came.
func (c *capture) firstAt() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}

// tail returns at most the last n bytes that came so far.
func (c *capture) tail(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	from := len(c.pieces)
	for have := 0; from > 0 && have < n; have += len(c.pieces[from]) {
		from--
	}
	b := bytes.Join(c.pieces[from:], nil)
	return string(b[max(0, len(b)-n):])
}
