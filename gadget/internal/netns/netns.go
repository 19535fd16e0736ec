// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package netns finds network namespaces and does things in them.
package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Own is where a thread finds its own network namespace.
const Own = "/proc/thread-self/ns/net"

// Namespace is a network namespace that is held open.
type Namespace struct {
	// ID identifies the namespace: the inode of /proc/PID/ns/net.
	ID   uint64
	file *os.File
}

// Open opens the network namespace of a path such as /proc/PID/ns/net or /run/netns/NAME.
func Open(path string) (*Namespace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if kind, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		f.Close()
		return nil, fmt.Errorf("%s is not a network namespace", path)
	}
	return &Namespace{ID: st.Ino, file: f}, nil
}

// FD returns the descriptor that holds the namespace open.
func (n *Namespace) FD() int { return int(n.file.Fd()) }

// Hold returns the namespace again, for another owner.
func (n *Namespace) Hold() (*Namespace, error) {
	return Open(fmt.Sprintf("/proc/thread-self/fd/%d", n.FD()))
}

// Close lets go of the namespace.
func (n *Namespace) Close() error { return n.file.Close() }

// Do calls f on a thread that is in the namespace. Goroutines that f starts are not in it.
func (n *Namespace) Do(f func() error) error {
	done := make(chan error, 1)
	go func() {
		// A thread that cannot get back is never unlocked, and so ends with this goroutine.
		runtime.LockOSThread()
		home, err := n.enter(f)
		if home {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// enter calls f in the namespace and reports whether the thread is in its own again.
func (n *Namespace) enter(f func() error) (home bool, err error) {
	from, err := os.Open(Own)
	if err != nil {
		return true, fmt.Errorf("find this process's network namespace: %w", err)
	}
	defer from.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(from.Fd()), &st); err == nil && st.Ino == n.ID {
		return true, f() // entering it again would take CAP_SYS_ADMIN
	}
	err = setns(n.file)
	if errors.Is(err, unix.EPERM) {
		err = fmt.Errorf("%w (it takes CAP_SYS_ADMIN)", err)
	}
	if err != nil {
		return true, fmt.Errorf("enter the network namespace %s: %w", n.file.Name(), err)
	}
	err = f()
	if back := setns(from); back != nil {
		return false, errors.Join(err, fmt.Errorf("leave the network namespace %s: %w", n.file.Name(), back))
	}
	return true, err
}

func setns(f *os.File) error { return unix.Setns(int(f.Fd()), unix.CLONE_NEWNET) }

// Running returns a path for each network namespace that a process is in. It skips processes
// that end meanwhile, or that this process may not inspect.
func Running() ([]string, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var paths []string
	seen := make(map[string]bool)
	for _, name := range names {
		if _, err := strconv.ParseUint(name, 10, 32); err != nil {
			continue
		}
		path := filepath.Join("/proc", name, "ns/net")
		id, err := os.Readlink(path) // "net:[4026531840]"
		if err == nil && !seen[id] {
			seen[id] = true
			paths = append(paths, path)
		}
	}
	return paths, nil
}
