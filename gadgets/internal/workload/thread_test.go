// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// status returns a value of /proc/TASK/status.
func status(t *testing.T, task, key string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + task + "/status")
	if err != nil {
		t.Error(err)
	}
	_, value, _ := strings.Cut("\n"+string(text), "\n"+key+":\t")
	value, _, _ = strings.Cut(value, "\n")
	return value
}

// processName is the name with which threads begin. The first thread may have another name by now, because it
// does not end with the task that ran on it.
func processName() string {
	name := filepath.Base(os.Args[0])
	return name[:min(len(name), 15)]
}

// Whatever a thread is called, it is described as the kernel has it.
func TestOnThread(t *testing.T) {
	t.Parallel()
	tests := []struct{ comm, described, called string }{
		{"x", "x", "x"},
		{"fifteen-letters", "fifteen-letters", "fifteen-letters"},
		{"more-than-fifteen-letters", "more-than-fifte", "more-than-fifte"},
		{"", "", processName()},
	}
	for _, tt := range tests {
		got, err := OnThread(tt.comm, func(th *Thread[Proc]) error {
			if name := status(t, "thread-self", "Name"); name != tt.called {
				t.Errorf("%q: the thread is called %q, want %q", tt.comm, name, tt.called)
			}
			th.Events = append(th.Events, th.Proc, thisThread(t, tt.described))
			return nil
		})()
		if err != nil || len(got) != 2 || got[0] != got[1] {
			t.Errorf("%q: got and want %+v, %v", tt.comm, got, err)
		}
	}
}

// thisThread describes the calling thread from other sources.
func thisThread(t *testing.T, comm string) Proc {
	t.Helper()
	p := Proc{
		Comm: comm, PID: os.Getpid(), TID: unix.Gettid(), Creds: Creds{UID: os.Getuid(), GID: os.Getgid()},
		Parent: Parent{PID: os.Getppid()},
	}
	link, err := os.Readlink("/proc/thread-self/ns/mnt")
	if _, scanErr := fmt.Sscanf(link, "mnt:[%d]", &p.MntnsID); errors.Join(err, scanErr) != nil {
		t.Errorf("mount namespace %q: %v", link, err)
	}
	return p
}

// Each task has its own thread, and does not change the thread of another.
func TestThreadsAreApart(t *testing.T) {
	t.Parallel()
	meet := make(chan int)
	one := OnThread("apart-one", func(th *Thread[int]) error { meet <- th.Proc.TID; return nil })
	two := OnThread("apart-two", func(th *Thread[int]) error {
		if other := <-meet; other == th.Proc.TID {
			t.Errorf("both run on thread %d", other)
		}
		return nil
	})
	if _, err := AtOnce(one, two)(); err != nil {
		t.Error(err)
	}
	if _, err := OnThread("", func(*Thread[int]) error {
		if name := status(t, "thread-self", "Name"); name != processName() {
			t.Errorf("a new thread is called %q", name)
		}
		return nil
	})(); err != nil {
		t.Error(err)
	}
}

func TestThreadErrors(t *testing.T) {
	t.Parallel()
	no := errors.New("no")
	_, err := OnThread("a-thread", func(*Thread[int]) error { return no })()
	if !errors.Is(err, no) || err.Error() != `thread "a-thread": no` {
		t.Errorf("error %v", err)
	}
	if _, err := OnThread("a\x00b", func(*Thread[int]) error { return nil })(); err == nil {
		t.Error("a thread has got a name that no thread can have")
	}
}

func TestBecomeNobody(t *testing.T) {
	t.Parallel()
	kerneltest.RequireRoot(t)
	wantIDs := func(th *Thread[int], id int) {
		if want := (Creds{UID: id, GID: id}); th.Proc.Creds != want {
			t.Errorf("described as %v, want %v", th.Proc.Creds, want)
		}
		want := strings.Repeat(fmt.Sprintf("\t%d", id), 4)[1:] // real, effective, saved, of files
		if uid, gid := status(t, "thread-self", "Uid"), status(t, "thread-self", "Gid"); uid != want || gid != want {
			t.Errorf("user %q, group %q, want %q", uid, gid, want)
		}
	}
	_, err := InTurn(
		OnThread("nobody", func(th *Thread[int]) error {
			wantIDs(th, 0)
			err := th.BecomeNobody()
			wantIDs(th, 65534)
			return err
		}),
		OnThread("root", func(th *Thread[int]) error {
			wantIDs(th, 0)
			return nil
		}),
	)()
	if err != nil {
		t.Error(err)
	}
}

func TestOwnMounts(t *testing.T) {
	t.Parallel()
	kerneltest.RequireRoot(t)
	dir := t.TempDir()
	var inOwn func(th *Thread[int]) error
	inOwn = func(th *Thread[int]) error {
		if th.Proc.TID == th.Proc.PID { // it does not end, and other tests look at it
			_, err := OnThread("mounts", inOwn)()
			return err
		}
		outside := th.Proc.MntnsID
		if err := th.OwnMounts(); err != nil {
			return err
		}
		if now, err := Namespace("/proc/thread-self/ns/mnt"); err != nil || now != th.Proc.MntnsID || now == outside {
			t.Errorf("namespace %d, was %d, is said to be %d (%v)", now, outside, th.Proc.MntnsID, err)
		}
		return unix.Mount("test", dir, "tmpfs", 0, "")
	}
	if _, err := OnThread("mounts", inOwn)(); err != nil {
		t.Error(err)
	}
	if mounts, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("what the thread has mounted is seen by others, too, or %v", err)
	}
}

func TestOwnNetwork(t *testing.T) {
	t.Parallel()
	kerneltest.RequireRoot(t)
	_, err := OnThread("network", func(th *Thread[int]) error {
		outside, err := Namespace("/proc/thread-self/ns/net")
		if err != nil {
			return err
		}
		inside, err := th.OwnNetwork()
		if err != nil {
			return err
		}
		if now, err := Namespace("/proc/thread-self/ns/net"); err != nil || now != inside || inside == outside {
			t.Errorf("namespace %d, was %d, is said to be %d (%v)", now, outside, inside, err)
		}
		lo, err := net.InterfaceByName("lo")
		if err != nil || lo.Flags&net.FlagUp == 0 {
			t.Errorf("the loopback interface is not up: %v, %v", lo, err)
		}
		return nil
	})()
	if err != nil {
		t.Error(err)
	}
}
