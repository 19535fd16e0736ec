// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestMain makes the test's program a process that maps what the test tells it.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "map-on-request" {
		if err := mapOnRequest(os.Stdin); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 3 && os.Args[1] == "storm" {
		if err := storm(os.Args[2], os.Args[3]); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "look-at-itself" {
		lookAtItself()
		return
	}
	os.Exit(m.Run())
}

// lookAtItself prints what a tracker says of a process that may be without privileges.
func lookAtItself() {
	tracker, err := Open(Options{})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	defer tracker.Close()
	fmt.Println(tracker.Degraded())
	var place [1]Place
	pc := uint64(reflect.ValueOf(lookAtItself).Pointer())
	tracker.Resolve(uint32(os.Getpid()), nil, 0, []uint64{pc}, place[:])
	if p := place[0]; p.Kind == InFile {
		fmt.Println(p.File.Path(), p.File.Opened())
		return
	}
	fmt.Printf("%+v\n", place[0])
}

// storm starts that many processes a second for that many seconds, and prints how many it started.
func storm(rate, seconds string) error {
	perSecond, err := strconv.Atoi(rate)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(seconds)
	if err != nil {
		return err
	}
	commands := [][]string{{"/bin/true"}, {"/bin/sh", "-c", ":"}, {"/bin/echo", "a"}, {"/bin/ls", "/proc/self"}}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	var all atomic.Int64
	const spawners = 8
	errs := make(chan error)
	started := time.Now()
	for range spawners {
		go func() {
			errs <- func() error {
				for time.Since(started) < time.Duration(n)*time.Second {
					i := all.Add(1)
					time.Sleep(time.Until(started.Add(time.Duration(i) * time.Second / time.Duration(perSecond))))
					argv := commands[i%int64(len(commands))]
					p, err := os.StartProcess(argv[0], argv, &os.ProcAttr{Files: []*os.File{null, null, null}})
					if err != nil {
						return err
					}
					if _, err := p.Wait(); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range spawners {
		err = errors.Join(err, <-errs)
	}
	fmt.Println(all.Load())
	return err
}

// mapOnRequest obeys lines of standard input, and answers each by a line: "map PATH" gives the address, "replace ADDRESS PATH" maps
// another file there, "anonymous" makes memory executable, as
// runtimes do for the code that they write, "exec PATH" runs another program that obeys.
func mapOnRequest(in io.Reader) error {
	runtime.LockOSThread()
	fmt.Println("ready")
	for lines := bufio.NewScanner(in); lines.Scan(); {
		verb, rest, _ := strings.Cut(lines.Text(), " ")
		switch verb {
		case "map":
			addr, err := mapFile(0, rest, 0)
			if err != nil {
				return err
			}
			fmt.Printf("%x\n", addr)
		case "replace":
			at, path, _ := strings.Cut(rest, " ")
			addr, err := strconv.ParseUint(at, 16, 64)
			if err != nil {
				return err
			}
			if _, err := mapFile(uintptr(addr), path, unix.MAP_FIXED); err != nil {
				return err
			}
			fmt.Println("done")
		case "anonymous":
			addr, err := unix.MmapPtr(-1, 0, nil, 1<<16, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
			if err != nil {
				return err
			}
			if err := unix.Mprotect(unsafe.Slice((*byte)(addr), 1<<16), unix.PROT_READ|unix.PROT_EXEC); err != nil {
				return err
			}
			fmt.Printf("%x\n", addr)
		case "exec":
			return unix.Exec(rest, []string{rest, "map-on-request"}, nil)
		}
	}
	return nil
}

func mapFile(at uintptr, path string, flags int) (uintptr, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	addr, err := unix.MmapPtr(int(f.Fd()), 0, ptr(at), 1<<16, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|flags)
	return uintptr(addr), err
}

// mapper is a process that maps what the test tells it.
type mapper struct {
	t   *testing.T
	cmd *exec.Cmd
	pid uint32
	in  io.WriteCloser
	out *bufio.Reader
}

// startMapper starts one; change may change the command first.
func startMapper(t *testing.T, change func(*exec.Cmd)) *mapper {
	t.Helper()
	m := &mapper{t: t, cmd: exec.Command("/proc/self/exe", "map-on-request")}
	m.cmd.Stderr = os.Stderr
	if change != nil {
		change(m.cmd)
	}
	var err error
	if m.in, err = m.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	m.out = bufio.NewReader(out)
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.pid = uint32(m.cmd.Process.Pid)
	t.Cleanup(m.stop)
	if got := m.answer(); got != "ready" {
		t.Fatalf("the mapper says %q", got)
	}
	return m
}

func (m *mapper) answer() string {
	m.t.Helper()
	line, err := m.out.ReadString('\n')
	if err != nil || strings.HasPrefix(line, "error") {
		m.t.Fatalf("the mapper says %q, %v", line, err)
	}
	return strings.TrimSpace(line)
}

// tell sends a line and returns the answer.
func (m *mapper) tell(format string, args ...any) string {
	m.t.Helper()
	if _, err := fmt.Fprintf(m.in, format+"\n", args...); err != nil {
		m.t.Fatal(err)
	}
	return m.answer()
}

// address sends a line and returns the answer, an address.
func (m *mapper) address(format string, args ...any) uint64 {
	m.t.Helper()
	text := m.tell(format, args...)
	addr, err := strconv.ParseUint(text, 16, 64)
	if err != nil {
		m.t.Fatal(err)
	}
	return addr
}

func (m *mapper) stop() {
	m.in.Close()
	m.cmd.Wait()
}

// ptr turns an address into what a system call takes.
func ptr(addr uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }
