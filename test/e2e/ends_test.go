// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// An output without a reader.
type stuck struct {
	file *os.File
	// rest reads the output that the kernel has accepted, after the program has ended.
	rest func() []byte
}

func stuckPipe(t testing.TB) stuck {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return stuck{w, func() []byte { text, _ := io.ReadAll(r); return text }}
}

func stuckSocket(t testing.TB) stuck {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	r, w := os.NewFile(uintptr(fds[0]), "reader"), os.NewFile(uintptr(fds[1]), "writer")
	t.Cleanup(func() { r.Close() })
	return stuck{w, func() []byte {
		conn, err := net.FileConn(r)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		text, _ := io.ReadAll(conn)
		return text
	}}
}

func stuckTerminal(t testing.TB) stuck {
	keyboard, terminal := newPty(t)
	return stuck{terminal, func() []byte {
		var text []byte
		_ = keyboard.SetReadDeadline(time.Now().Add(5 * time.Second))
		for buf := make([]byte, 4096); ; {
			n, err := keyboard.Read(buf)
			if text = append(text, buf[:n]...); err != nil { // EIO: no program has it open any more
				return bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
			}
		}
	}}
}

// newPty returns a terminal and its other side.
func newPty(t testing.TB) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keyboard.Close() })
	conn, err := keyboard.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	_ = conn.Control(func(fd uintptr) {
		n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		_ = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(filepath.Join("/dev/pts", strconv.Itoa(n)), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return keyboard, terminal
}

// readUntil reads what comes at the terminal until it is enough.
func readUntil(t *testing.T, keyboard *os.File, enough func(text []byte) bool) (text []byte) {
	t.Helper()
	_ = keyboard.SetReadDeadline(time.Now().Add(patience))
	for buf := make([]byte, 4096); !enough(text); {
		n, err := keyboard.Read(buf)
		if text = append(text, buf[:n]...); err != nil {
			t.Fatalf("%v after %q", err, text)
		}
	}
	return text
}

// Whatever the output is, and whether it blocks or drops, the first signal ends the run in little more than the time that a
// stuck output is given. The account is exact: delivered is what the reader finds in whole lines.
func TestStuckOutputIsGivenUp(t *testing.T) {
	kerneltest.RequireRoot(t)
	for name, open := range map[string]func(testing.TB) stuck{"pipe": stuckPipe, "socket": stuckSocket, "terminal": stuckTerminal} {
		for _, slow := range []string{"drop", "block"} {
			for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
				t.Run(name+"/"+slow+"/"+s.String(), func(t *testing.T) {
					kerneltest.Undisturbed(t, func(t *kerneltest.Attempt) {
						const opened = 20_000
						o, out := startOpener(t), open(t)
						g := start(t, setup{out: out.file}, "run", "trace_open", "-o", "json", "--pid", o.pid(), "--slow-output", slow, "-v")
						out.file.Close()
						held := g.waitAttached(t)
						o.open(t, opened, "/proc/version")
						signalled := time.Now()
						g.signal(t, s)
						g.wantExit(t, 0)
						took := time.Since(signalled)
						if t.Within(took, 2500*time.Millisecond); took < 900*time.Millisecond {
							t.Errorf("it ended after %v, want 1 s", took)
						}
						wantGone(t, held)
						lines := bytes.Count(out.rest(), []byte("\n"))
						a, losses := ledgerOf(t, g), lossesOf(g)
						t.Logf("%v: %+v %v", took, a, losses)
						if want := (account{opened, lines, 0, opened - lines}); a != want || lines == 0 || sumBy(losses, outputTooSlow) == 0 {
							t.Errorf("the ledger says %+v, want %+v; %v", a, want, losses)
						}
					})
				})
			}
		}
	}
}

// The time that a stuck output is given is the user's to choose, and a timeout ends a run as a signal does.
func TestDrainTimeout(t *testing.T) {
	kerneltest.RequireRoot(t)
	kerneltest.Undisturbed(t, func(t *kerneltest.Attempt) {
		for flag, most := range map[string]time.Duration{"0": 400 * time.Millisecond, "300ms": 800 * time.Millisecond} {
			out := stuckPipe(t)
			o := startOpener(t)
			g := start(t, setup{out: out.file}, "run", "trace_open", "-o", "json", "--pid", o.pid(), "--drain-timeout", flag)
			out.file.Close()
			g.waitAttached(t)
			o.open(t, 5000, "/proc/version")
			signalled := time.Now()
			g.interrupt(t)
			t.Within(time.Since(signalled), most)
		}
		out := stuckPipe(t)
		o := startOpener(t)
		g := start(t, setup{out: out.file}, "run", "trace_open", "-o", "json", "--pid", o.pid(), "-t", "2")
		out.file.Close()
		g.waitAttached(t)
		o.open(t, 5000, "/proc/version")
		g.wantExit(t, 0)
		t.Within(g.exitedIn, 5*time.Second)
	})
}

// Standard error may be as stuck as the output.
func TestStuckMessages(t *testing.T) {
	kerneltest.RequireRoot(t)
	kerneltest.Undisturbed(t, func(t *kerneltest.Attempt) {
		out, o := stuckPipe(t), startOpener(t)
		g := startProgram(t, setup{out: out.file}, []string{"sh", "-c", `exec "$0" "$@" 2>&1`, gizmoPath, "run", "trace_open", "--host", "-o", "json", "--pid", o.pid(), "-v"})
		out.file.Close()
		g.waitAttached(t)
		o.open(t, 20_000, "/proc/version")
		signalled := time.Now()
		g.interrupt(t)
		t.Within(time.Since(signalled), 2500*time.Millisecond)
	})
}

// A recording that its reader leaves standing is given up as well; the text gets all that it would have got.
func TestStuckRecordingIsGivenUp(t *testing.T) {
	kerneltest.RequireRoot(t)
	kerneltest.Undisturbed(t, func(t *kerneltest.Attempt) {
		fifo := filepath.Join(t.TempDir(), "fifo")
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		reader, err := os.OpenFile(fifo, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		const opened = 20_000
		o := startOpener(t)
		g := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", o.pid(), "--record", fifo, "-v", "--buffer-size", "33554432", "--fail-on-loss")
		g.waitAttached(t)
		o.open(t, opened, "/proc/version")
		signalled := time.Now()
		g.signal(t, syscall.SIGINT)
		g.wantExit(t, 3)
		t.Within(time.Since(signalled), 2500*time.Millisecond)
		if n := strings.Count(g.out.String(), "\n"); n != opened || ledgerOf(t, g) != (account{opened, opened, 0, 0}) {
			t.Errorf("%d lines of text, the ledger says %+v", n, ledgerOf(t, g))
		}
		g.wantErr(t, "gizmo: recording of open: 20000 events produced, ", "gizmo: recording of open:   ", " lost: output too slow")
	})
}

// A closed terminal ends a run, as SIGTERM does: the recording is complete.
func TestTerminalThatHasGone(t *testing.T) {
	kerneltest.RequireRoot(t)
	recording := filepath.Join(t.TempDir(), "recording")
	keyboard, terminal := newPty(t)
	o := startOpener(t)
	g := start(t, setup{out: terminal}, "run", "trace_open", "-o", "json", "--pid", o.pid(), "--record", recording)
	terminal.Close()
	g.waitAttached(t)
	o.open(t, 10, "/proc/version")
	readUntil(t, keyboard, func(text []byte) bool { return bytes.Count(text, []byte("\n")) == 10 })
	keyboard.Close()
	o.open(t, 1, "/proc/version") // which cannot be written, and ends the run
	g.wantExit(t, 0)
	if text := g.err.String(); text != "" {
		t.Errorf("on standard error: %s", text)
	}
	replayed := run(t, setup{}, "replay", recording, "-o", "json")
	replayed.wantExit(t, 0)
	if n := len(parseEvents(t, replayed.out.String())); n != 11 {
		t.Errorf("%d events were recorded, want 11", n)
	}
}

// As under nohup.
func TestIgnoredSignalsStayIgnored(t *testing.T) {
	kerneltest.RequireRoot(t)
	g := startProgram(t, setup{}, []string{"sh", "-c", `trap "" HUP INT; exec "$0" "$@"`, gizmoPath, "run", "trace_signal", "--host", "-o", "none"})
	g.waitAttached(t)
	g.signal(t, syscall.SIGHUP)
	g.signal(t, syscall.SIGINT)
	select {
	case <-g.ended:
		t.Fatal("it ended by a signal that was ignored")
	case <-time.After(300 * time.Millisecond):
	}
	g.signal(t, syscall.SIGTERM)
	g.wantExit(t, 0)
}

// timeout(1) sends its signal twice, and a closed terminal several.
func TestSignalThatComesTwice(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, s := range [][]syscall.Signal{{syscall.SIGTERM, syscall.SIGTERM}, {syscall.SIGTERM, syscall.SIGHUP}, {syscall.SIGHUP, syscall.SIGHUP}} {
		o := startOpener(t)
		g := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", o.pid())
		g.waitAttached(t)
		o.open(t, 1000, "/proc/version")
		g.signal(t, s[0])
		time.Sleep(2 * time.Millisecond)
		_ = g.cmd.Process.Signal(s[1]) // it may have ended
		g.wantExit(t, 0)
		if n := strings.Count(g.out.String(), "\n"); n != 1000 {
			t.Errorf("%v: %d events", s, n)
		}
	}
}

func TestStateForAReport(t *testing.T) {
	kerneltest.RequireRoot(t)
	o := startOpener(t)
	g := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", o.pid())
	g.waitAttached(t)
	o.open(t, 30, "/proc/version")
	eventually(t, "the events came", func() bool { return strings.Count(g.out.String(), "\n") == 30 })
	g.signal(t, syscall.SIGQUIT)
	eventually(t, "the state is told", func() bool { return strings.Contains(g.err.String(), "goroutine 1 [") })
	g.interrupt(t) // it went on
	g.wantErr(t, "gizmo: state: version "+buildVersion, "kernel ", "gizmo: state: run trace_open, for ",
		"gizmo: open: 30 events produced, 30 delivered, 0 filtered, 0 lost\n", " goroutines\n")
}

// With a free output a run ends as soon as its programs are detached.
func TestEndsAtOnce(t *testing.T) {
	kerneltest.RequireRoot(t)
	kerneltest.Undisturbed(t, func(t *kerneltest.Attempt) {
		var took []time.Duration
		for range 20 {
			g := start(t, setup{}, "run", "trace_open", "-o", "json", "--pid", "1")
			g.waitAttached(t)
			signalled := time.Now()
			g.interrupt(t)
			took = append(took, time.Since(signalled))
		}
		slices.Sort(took)
		t.Logf("median %v, from %v to %v", took[10], took[0], took[19])
		t.Within(took[10], 250*time.Millisecond) // 5 times the limit for an idle machine
	})
}

func TestWaitingIsExplained(t *testing.T) {
	kerneltest.RequireRoot(t)
	keyboard, terminal := newPty(t)
	g := startProgram(t, setup{out: terminal}, []string{"sh", "-c", `exec "$0" "$@" 2>&1`, gizmoPath, "run", "trace_open", "--host", "--pid", "1", "-F", "fname==/no/such"})
	terminal.Close()
	text := readUntil(t, keyboard, func(text []byte) bool { return bytes.Contains(text, []byte("Ctrl-C ends")) })
	if want := "gizmo: waiting for events of trace_open: "; !bytes.Contains(text, []byte(want)) || !bytes.Contains(text, []byte("filter")) {
		t.Errorf("%q", text)
	}
	g.interrupt(t)
}

// The second signal ends a run at once that would otherwise be patient.
func TestSecondInterruptEndsAtOnce(t *testing.T) {
	kerneltest.RequireRoot(t)
	kerneltest.Undisturbed(t, func(t *kerneltest.Attempt) {
		out, o := stuckPipe(t), startOpener(t)
		g := start(t, setup{out: out.file}, "run", "trace_open", "-o", "json", "--pid", o.pid(), "--drain-timeout", "1h")
		out.file.Close()
		held := g.waitAttached(t)
		o.open(t, 5000, "/proc/version") // more than the pipe takes
		g.signal(t, syscall.SIGINT)
		select {
		case <-g.ended:
			t.Fatalf("it ended although its output was not read: %v", g.cmd.ProcessState)
		case <-time.After(time.Second):
		}
		again := time.Now()
		g.signal(t, syscall.SIGINT)
		g.wait(t)
		t.Within(time.Since(again), time.Second)
		if code := g.cmd.ProcessState.ExitCode(); code == 0 {
			t.Error("exit code 0 although output was lost")
		}
		wantGone(t, held)
	})
}

// A program that was started without a standard output says so and does nothing; /dev/null is one, however it was opened.
func TestClosedOutputIsAnError(t *testing.T) {
	for script, closed := range map[string]bool{
		`exec "$0" version >&-`: true, `exec "$0" version >&- <&-`: true,
		`exec "$0" version >/dev/null`: false, `exec "$0" version 1<>/dev/null`: false, `exec "$0" version 2>&-`: false,
	} {
		p := startProgram(t, setup{}, []string{"sh", "-c", script, gizmoPath})
		if !closed {
			p.wantExit(t, 0)
			continue
		}
		p.wantExit(t, 1)
		if got, want := p.err.String(), "gizmo: standard output is closed; for no output use -o none\n"; got != want {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
	}
}

func TestRecordingIsNotTheOutput(t *testing.T) {
	kerneltest.RequireRoot(t)
	path := filepath.Join(t.TempDir(), "file")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	g := run(t, setup{out: file}, "run", "trace_open", "-t", "1", "--record", path)
	g.wantExit(t, 1)
	if got, want := g.err.String(), "gizmo: --record: "+path+" is where the output goes; name another file, or have no output (-o none)\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	g = run(t, setup{out: file}, "run", "trace_open", "-t", "1", "--record", path, "-o", "none")
	g.wantExit(t, 0)
	g.wantErr(t, "all users may read the recording", path)
	g = run(t, setup{}, "run", "trace_open", "--record", "-")
	g.wantExit(t, 1)
	g.wantErr(t, "--record /dev/stdout -o none")
}

// Ctrl-C ends a replay that waits for data without a writer.
func TestInterruptEndsAReplayThatWaits(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	g := start(t, setup{in: r}, "replay", "-")
	r.Close()
	time.Sleep(200 * time.Millisecond)
	g.interrupt(t)
	if text := g.err.String(); text != "" {
		t.Errorf("on standard error: %s", text)
	}
}
