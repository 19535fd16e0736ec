// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wild

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

var (
	update = flag.Bool("update", false, "rewrite the golden files")
	keep   = flag.String("objects", "", "compile the corpus into this `folder`, and use those that are there")

	allHooks = flag.Bool("all-hooks", false, "fail if the kernel lacks a hook that the corpus uses")
)

// objects is the folder of the compiled corpus while the tests run.
var objects string

// The test program itself causes the events, under another name.
const workload = "wild-work"

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == workload {
		work()
		os.Exit(0)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	flag.Parse()
	err := flag.Set("test.parallel", "16") // runs wait for events most of the time
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if objects = *keep; objects == "" {
		objects, err = os.MkdirTemp("", "gizmo-wild-")
		defer os.RemoveAll(objects)
	} else {
		err = os.MkdirAll(objects, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// work repeats what the gadgets of the corpus observe, until it is killed.
func work() {
	file, err := os.Open("/etc/passwd")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	server := serve()
	for {
		began := time.Now()
		workOnce(file, server, os.Args[1])
		time.Sleep(max(20*time.Millisecond, 2*time.Since(began))) // the lab has one processor for everything
	}
}

// serve answers requests at the address that it returns.
func serve() string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				panic(err)
			}
			var request [64]byte
			_, _ = conn.Read(request[:])
			_, _ = conn.Write([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// fetch sends a request of 22 bytes over a connection of its own.
func fetch(addr string) {
	conn, err := net.Dial("tcp4", addr)
	if err != nil {
		return // the system may be short of ports
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("GET /wild HTTP/1.1\r\n\r\n"))
	_, _ = io.ReadAll(conn)
}

// sendPackets sends what gadgets for packets look for: a question for an address, the greeting of a mail server's client, the first message of TLS.
func sendPackets(server string) {
	if conn, err := net.Dial("udp4", "127.0.0.1:53"); err == nil {
		_, _ = conn.Write([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04wild\x07example\x00\x00\x01\x00\x01"))
		conn.Close()
	}
	if conn, err := net.Dial("tcp4", server); err == nil {
		_, _ = conn.Write([]byte("EHLO wild\r\n"))
		_, _ = io.ReadAll(conn)
		conn.Close()
	}
	if conn, err := net.Dial("tcp4", server); err == nil {
		_ = tls.Client(conn, &tls.Config{ServerName: "wild.example"}).Handshake() // which fails
		conn.Close()
	}
}

func workOnce(file *os.File, server, full string) {
	var buf [64]byte
	_, _ = os.Open("/nonexistent/wild")
	_, _ = file.ReadAt(buf[:], 0)
	_, _ = file.Read(buf[:])
	_, _ = file.Seek(0, 0)
	_, _, _ = syscall.RawSyscall(unix.SYS_GETPGID, 4242, 0, 0)
	_ = unix.Rmdir(full) // which fails
	if memory, err := unix.Mmap(-1, 0, 3*4096, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON); err == nil {
		_ = unix.Munmap(memory)
	}
	_ = unix.Mount("wild-source", "/nonexistent/wild", "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "")
	_ = unix.PtraceDetach(4242)
	_ = unix.PivotRoot("/nonexistent/wild", "/nonexistent/wild") // the kernel asks for the capability first
	for range 4 {
		fetch(server)
	}
	sendPackets(server)
	_ = unix.Kill(os.Getpid(), unix.SIGURG)
	_ = os.WriteFile(filepath.Join(full, "brief"), nil, 0o600)
	_ = os.Remove(filepath.Join(full, "brief"))
	if l, err := net.Listen("tcp4", "127.0.0.1:0"); err == nil {
		_ = l.Close()
	}
	if terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0); err == nil {
		_, _ = terminal.WriteString("wild")
		_ = terminal.Close()
	}
	runOthers()
}

// runOthers runs programs in C, for what they call in their libraries.
func runOthers() {
	shell := exec.Command("/bin/bash", "--norc", "-i")
	shell.Stdin = strings.NewReader("true wild\n")
	for _, cmd := range []*exec.Cmd{
		exec.Command("/bin/true", "one", "two"),
		exec.Command("/bin/ls", "/"),
		exec.Command("sort", "/etc/passwd"),           // locks a mutex
		exec.Command("getent", "ahosts", "localhost"), // resolves a name
		shell,
	} {
		_ = cmd.Run()
	}
}

// pinned are the maps of the gadget pinned_gpu.
const pinned = "/sys/fs/bpf/gpu_*"

// unpin removes what the gadgets of the corpus have pinned when the test ends.
func unpin(t *testing.T) {
	t.Helper()
	before, _ := filepath.Glob(pinned)
	t.Cleanup(func() {
		after, _ := filepath.Glob(pinned)
		for _, path := range after {
			if slices.Contains(before, path) {
				continue
			}
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}
	})
}

// startWork runs the workload until the test ends.
func startWork(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), workload)
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	full := t.TempDir() // a folder that is not empty
	if err := os.WriteFile(filepath.Join(full, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, full)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// versions are those of clang with which every source must build.
var versions = [...]int{14, 16, 19}

// compilers are the names of those that are here. In CI all must be.
func compilers(t *testing.T) (names []string) {
	t.Helper()
	for _, v := range versions {
		names = append(names, fmt.Sprint("clang-", v))
	}
	if *keep != "" {
		return names // they were here when the objects were made
	}
	var found []string
	for _, name := range names {
		if _, err := exec.LookPath(name); err == nil {
			found = append(found, name)
		} else if os.Getenv("CI") == "true" {
			t.Errorf("%s is not installed", name)
		}
	}
	if len(found) == 0 {
		kerneltest.Missing(t, "none of %v is installed", names)
	}
	return found
}
