// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

//go:build amd64 || arm64

package seccomp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/int80"
)

// childMode is the environment variable that makes the test program a child, because a filter cannot be removed.
const childMode = "GIZMO_SECCOMP_CHILD"

func TestMain(m *testing.M) {
	mode := os.Getenv(childMode)
	if mode == "" {
		os.Exit(m.Run())
	}
	runtime.LockOSThread() // no_new_privs is a matter of the thread, until the filter gives it to all
	if err := errors.Join(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), child(mode)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(mode string) error {
	switch mode {
	case "replay":
		return restricted(Needs{})
	case "gadget":
		return restricted(Needs{Maps: true})
	case "probes":
		return restricted(Needs{Maps: true, WriteFiles: true})
	case "sockets":
		return restricted(Needs{Maps: true, UnixSockets: true})
	case "internet":
		return connecting()
	case "refused":
		return refused()
	case "beside":
		return besideAnother()
	}
	return fmt.Errorf("unknown mode %q", mode)
}

// restricted tries forbidden and allowed calls, in threads from before the filter and in a later one.
func restricted(needs Needs) error {
	const threads = 8
	begin := make(chan struct{})
	errs := make(chan error, threads)
	int80.Available() // which starts a process to find out
	var started sync.WaitGroup
	for range threads {
		started.Add(1)
		go func() {
			runtime.LockOSThread()
			started.Done()
			<-begin
			errs <- tryCalls(needs)
		}()
	}
	started.Wait()
	if err := Restrict(needs); err != nil {
		return err
	}
	if err := threadsFiltered(); err != nil {
		return err
	}
	close(begin)
	all := []error{tryCalls(needs)}
	for range threads {
		all = append(all, <-errs)
	}
	go func() { // ends with its thread, so that the next has a new one
		runtime.LockOSThread()
		errs <- nil
	}()
	<-errs
	go func() {
		runtime.LockOSThread()
		errs <- tryCalls(needs)
	}()
	return errors.Join(append(all, <-errs)...)
}

// connecting tries what the library does to connect to a name.
func connecting() error {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return err
	}
	asked, err := net.ListenPacket("udp", "localhost:0")
	if err != nil {
		return err
	}
	if err := restricted(Needs{Internet: true}); err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if _, err := net.DialTimeout("tcp", "localhost:"+port, time.Minute); err != nil {
		return err
	}
	// A question for a name server: it is enough that it arrives.
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, asked.LocalAddr().String())
	}}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go func() { _, _ = resolver.LookupHost(ctx, "box.example.") }()
	if err := asked.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	_, _, err = asked.ReadFrom(make([]byte, 512))
	return err
}

// threadsFiltered checks that each thread has a filter and cannot gain privileges.
func threadsFiltered() error {
	all, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(all) < 8 {
		return fmt.Errorf("%d threads, %w", len(all), err)
	}
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, line := range []string{"\nSeccomp:\t2\n", "\nNoNewPrivs:\t1\n"} {
			if !strings.Contains(string(text), line) {
				return fmt.Errorf("%s lacks %q", path, line)
			}
		}
	}
	return nil
}

func tryCalls(needs Needs) error {
	var errs []error
	want := func(what string, got, want error) {
		if !errors.Is(got, want) {
			errs = append(errs, fmt.Errorf("%s: got %w, want %w", what, got, want))
		}
	}
	_, err := os.ReadFile("/proc/self/status")
	want("read a file", err, nil)
	want("start a program", unix.Exec("/proc/nonexistent", nil, nil), unix.EPERM)
	want("start a process", exec.Command("/proc/self/exe").Run(), unix.EPERM)
	connecting := error(unix.EPERM)
	if needs.UnixSockets {
		connecting = nil
	}
	_, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	want("make a socket", err, connecting)
	reaching := error(unix.EPERM)
	if needs.Internet {
		reaching = nil
	}
	_, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	want("make a socket of the internet", err, reaching)
	_, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
	want("make a raw socket", err, unix.EPERM)
	want("enter a namespace", unix.Unshare(0), unix.EPERM)
	want("change a file's mode", os.Chmod("/proc/nonexistent", 0o600), unix.EPERM)
	want("remove a file", unix.Unlinkat(unix.AT_FDCWD, "/proc/nonexistent", 0), unix.EPERM)
	want("make a file", errorOf(os.OpenFile("/proc/nonexistent", os.O_WRONLY|os.O_CREATE, 0o600)), unix.EPERM)
	writing := error(unix.EPERM)
	if needs.WriteFiles {
		writing = nil
	}
	want("write to a file", errorOf(os.OpenFile(os.DevNull, os.O_WRONLY, 0)), writing)
	want("signal itself", unix.Kill(os.Getpid(), 0), nil)
	want("signal its parent", unix.Kill(os.Getppid(), 0), unix.EPERM)
	want("write to the terminal's input", unix.IoctlSetInt(0, unix.TIOCSTI, 0), unix.EPERM)
	const execve32 = 11
	want("start a program as 32-bit programs do", int80.With(func(low *int80.LowMemory) error {
		_, errno := int80.Result(int80.Call(execve32, low.Text("/proc/nonexistent"), 0, 0, 0, 0))
		return errno
	}), thirtyTwoBit())
	_, _, errno := unix.Syscall(newestCall+1, 0, 0, 0)
	want("a call of the future", errno, unix.ENOSYS)
	bpf := error(unix.EPERM)
	if needs.Maps {
		bpf = unix.EBADF
	}
	attr := struct {
		fd         uint32
		_          uint32
		key, value uint64
		flags      uint64
	}{fd: 1 << 30}
	_, _, errno = unix.Syscall(unix.SYS_BPF, unix.BPF_MAP_LOOKUP_ELEM, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if !needs.Maps || errno != unix.EPERM { // without capabilities some kernels allow no such call at all
		want("look into a map", errno, bpf)
	}
	return errors.Join(errs...)
}

// thirtyTwoBit returns the error of a 32-bit call; nil on machines without such calls.
func thirtyTwoBit() error {
	if int80.Available() != nil {
		return nil
	}
	return unix.ENOSYS
}

func errorOf(f *os.File, err error) error {
	if err == nil {
		f.Close()
	}
	return err
}

// refused is a process of which some other has decided that it may not use seccomp, as in some containers.
func refused() error {
	if err := install(oneCallFails(unix.SYS_SECCOMP, unix.EACCES)); err != nil {
		return err
	}
	if err := Restrict(Needs{}); !errors.Is(err, unix.EACCES) {
		return fmt.Errorf("got %w, want EACCES", err)
	}
	if err := unix.Unshare(0); err != nil {
		return fmt.Errorf("a filter that was refused works: %w", err)
	}
	return nil
}

// besideAnother starts a thread with its own filter, so that the kernel cannot give it another.
func besideAnother() error {
	filtered, end := make(chan error), make(chan struct{})
	defer close(end)
	go func() {
		runtime.LockOSThread()
		prog := oneCallFails(unix.SYS_SETNS, unix.EACCES)
		filtered <- errors.Join(
			unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
			unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(prog)), 0, 0))
		<-end
	}()
	if err := <-filtered; err != nil {
		return err
	}
	if err := Restrict(Needs{}); err == nil || !strings.Contains(err.Error(), "has a filter of its own") {
		return fmt.Errorf("got %w", err)
	}
	if err := unix.Unshare(0); err != nil {
		return fmt.Errorf("a filter that was refused works: %w", err)
	}
	return nil
}

// oneCallFails returns a filter that lets all calls pass except one.
func oneCallFails(number uint32, errno unix.Errno) *unix.SockFprog {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offsetNumber},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	return &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
}

func TestRestrict(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"replay", "gadget", "probes", "sockets", "internet", "refused", "beside"} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childMode+"="+mode)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", mode, err, out)
		}
	}
}
