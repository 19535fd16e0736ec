// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// liveInContainer is the first process of a container that has the file library in the place of its C library. For each line "list" it
// runs ls, and for "listen" it listens on a TCP port. It answers with a line, which for "listen" has the port.
func liveInContainer(args []string, in io.Reader, out io.Writer) error {
	library, place := args[0], args[1]
	err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount(library, place, "", unix.MS_BIND, ""))
	for lines := bufio.NewScanner(in); err == nil && lines.Scan(); {
		answer := "done"
		if lines.Text() == "list" {
			err = exec.Command("ls", "/").Run()
		} else {
			var l net.Listener
			if l, err = net.Listen("tcp", "0.0.0.0:0"); err == nil {
				_, answer, _ = net.SplitHostPort(l.Addr().String())
				defer l.Close()
			}
		}
		if err == nil {
			_, err = fmt.Fprintln(out, answer)
		}
	}
	return err
}

// fakeContainer is a process in namespaces of its own, of which a folder of runc's says that it is a container.
type fakeContainer struct {
	id, folder string
	pid        int
	in         io.Writer
	out        *bufio.Reader
}

// startContainer starts a container that gizmo does not know yet.
func startContainer(t *testing.T, folder, id string) *fakeContainer {
	t.Helper()
	ls, err := exec.LookPath("ls")
	if err != nil {
		t.Fatal(err)
	}
	place := libraryOf(t, ls)
	cmd := exec.Command(os.Args[0], copyForNobody(t, place), place)
	cmd.Env = append(os.Environ(), helperMode+"="+helperContainer)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	c := &fakeContainer{id, folder, cmd.Process.Pid, in, bufio.NewReader(out)}
	c.tell(t, "list") // its namespaces are made
	return c
}

// libraryOf returns the path of a program's C library.
func libraryOf(t *testing.T, program string) string {
	t.Helper()
	text, err := exec.Command("ldd", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "libc.so.6 => ")
	path, _, _ := strings.Cut(rest, " ")
	path, err = filepath.EvalSymlinks(path)
	if !ok || err != nil {
		t.Fatalf("%v; ldd: %s", err, text)
	}
	return path
}

// copyForNobody copies a file. The copy belongs to the user without privileges, and only this user may run it.
func copyForNobody(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "library")
	if err := errors.Join(os.WriteFile(out, data, 0o700), os.Chown(out, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	return out
}

func (c *fakeContainer) tell(t *testing.T, what string) string {
	t.Helper()
	if _, err := fmt.Fprintln(c.in, what); err != nil {
		t.Fatal(err)
	}
	line, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// publish lets gizmo learn of the container.
func (c *fakeContainer) publish(t *testing.T) {
	t.Helper()
	dir := filepath.Join(c.folder, c.id)
	state := fmt.Sprintf(`{"init_process_pid":%d,"created":"2026-01-02T03:04:05Z"}`, c.pid)
	temporary := filepath.Join(dir, "new")
	if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(temporary, []byte(state), 0o644), os.Rename(temporary, filepath.Join(dir, "state.json"))); err != nil {
		t.Fatal(err)
	}
}

// attachesInContainers is the status of a run that attaches programs to files of containers, entersNetworks that of one that lists
// sockets in their network namespaces.
var (
	attachesInContainers = onlyCapabilities(unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH)
	entersNetworks       = onlyCapabilities(unix.CAP_SYS_PTRACE, unix.CAP_SYS_ADMIN)
)

// After it has given up its privileges, a run still attaches programs to the files of a container that starts.
func TestCapabilitiesForProbesInContainers(t *testing.T) {
	kerneltest.RequireRoot(t)
	folder := t.TempDir()
	c := startContainer(t, folder, "with-a-library-of-nobody")
	g := start(t, setup{containersOnly: true}, "run", "trace_malloc", "-v", "-o", "json", "--runtimes", "runc", "--runc-root", folder)
	want := attachesInContainers
	if !gadget.HasProbeLinks() {
		want = onlyCapabilities(unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH, unix.CAP_SYS_ADMIN)
	}
	g.waitDropped(t, want)
	c.tell(t, "list")
	g.wantNoOut(t)
	c.publish(t)
	eventually(t, "events of the container", func() bool {
		c.tell(t, "list")
		return strings.Contains(g.out.String(), "malloc")
	})
	g.wantDropped(t, want)
	g.interrupt(t)
	for _, e := range parseEvents(t, g.out.String()) {
		if name := e.get("runtime.containerId"); name != c.id || e.get("proc.comm") != "ls" {
			t.Fatalf("an event of %q in container %q", e.get("proc.comm"), name)
		}
	}
	if strings.Contains(g.err.String(), "level=WARN") {
		t.Errorf("standard error: %s", g.err.String())
	}
}

// After it has given up its privileges, a run still enters the network namespaces of containers that start.
func TestCapabilitiesForSocketsOfContainers(t *testing.T) {
	kerneltest.RequireRoot(t)
	folder := t.TempDir()
	c := startContainer(t, folder, "with-a-socket")
	port := c.tell(t, "listen")
	g := start(t, setup{containersOnly: true}, "run", "snapshot_socket", "-o", "json", "--annotate", "sockets:fetch-interval=100ms,sockets:fetch-count=0",
		"--runtimes", "runc", "--runc-root", folder)
	g.waitDropped(t, entersNetworks)
	if strings.Contains(g.out.String(), "with-a-socket") {
		t.Error("the container is known too early")
	}
	c.publish(t)
	eventually(t, "the socket of the container", func() bool { return strings.Contains(g.out.String(), `"containerId":"with-a-socket"`) })
	g.wantDropped(t, entersNetworks)
	g.interrupt(t)
	if text := g.out.String(); !strings.Contains(text, `"port":`+port) {
		t.Errorf("port %s is missing: %s", port, text)
	}
}
