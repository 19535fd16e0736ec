// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/test/vm/order"
)

// Folders of the initial file system.
const (
	modulesDir = "/modules" // to be loaded, in the order of their names
	lowerDir   = "/lower"   // the host's root
	layerDir   = "/layer"   // the layer above it, in memory, which takes all writes
	newRoot    = "/new"     // both together
)

// mountpoint is something to mount.
type mountpoint struct {
	kind, source, dir, options string
	flags                      uintptr
}

// share returns the options of a folder of the host.
func share(cache string) string { return "trans=virtio,version=9p2000.L,msize=512000,cache=" + cache }

func (m mountpoint) mount() error {
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(m.source, m.dir, m.kind, m.flags, m.options); err != nil {
		return fmt.Errorf("mount %s at %s: %w", m.kind, m.dir, err)
	}
	return nil
}

func mountAll(list []mountpoint) error {
	for _, m := range list {
		if err := m.mount(); err != nil {
			return err
		}
	}
	return nil
}

// first are the mounts that are needed to access the host's files.
var first = []mountpoint{
	{kind: "proc", source: "proc", dir: "/proc"},
	{kind: "sysfs", source: "sysfs", dir: "/sys"},
	{kind: "devtmpfs", source: "devtmpfs", dir: "/dev"},
}

// root is the host's file system with a layer in memory.
var root = []mountpoint{
	{kind: "9p", source: order.RootTag, dir: lowerDir, options: share("loose"), flags: unix.MS_RDONLY},
	{kind: "tmpfs", source: "tmpfs", dir: layerDir, options: "size=75%"},
}

// system are the usual mounts of a system.
var system = []mountpoint{
	{kind: "devpts", source: "devpts", dir: "/dev/pts"},
	{kind: "tmpfs", source: "tmpfs", dir: "/dev/shm"},
	{kind: "tmpfs", source: "tmpfs", dir: "/run"},
	{kind: "tmpfs", source: "tmpfs", dir: order.Temp, options: "mode=1777"},
	{kind: "9p", source: order.ProgramsTag, dir: order.Programs, options: share("loose"), flags: unix.MS_RDONLY},
	{kind: "9p", source: order.AnswerTag, dir: order.Answer, options: share("none")},
	{kind: "9p", source: order.QueueTag, dir: order.Queue, options: share("none")},
	{kind: "securityfs", source: "securityfs", dir: "/sys/kernel/security"},
	{kind: "debugfs", source: "debugfs", dir: "/sys/kernel/debug"},
	{kind: "tracefs", source: "tracefs", dir: "/sys/kernel/tracing"},
	{kind: "bpf", source: "bpf", dir: "/sys/fs/bpf", options: "mode=700"},
	{kind: "cgroup2", source: "cgroup2", dir: "/sys/fs/cgroup"},
}

// prepare sets the machine up so that programs can run as on the host.
func prepare() error {
	if err := mountAll(first); err != nil {
		return err
	}
	if err := loadModules(); err != nil {
		return err
	}
	if err := enterHostRoot(); err != nil {
		return err
	}
	if err := mountAll(system); err != nil {
		return err
	}
	o, err := readOrder()
	if err != nil {
		return err
	}
	if err := mountAll(ordered(o)); err != nil {
		return err
	}
	if err := copyBuilds(o.Builds); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte("lab")); err != nil {
		return fmt.Errorf("set the host's name: %w", err)
	}
	return bringLoopbackUp()
}

func loadModules() error {
	files, err := filepath.Glob(modulesDir + "/*") // sorted
	if err != nil {
		return err
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil && err != unix.EEXIST {
			return fmt.Errorf("load the module %s: %w", filepath.Base(file), err)
		}
	}
	return nil
}

// enterHostRoot makes the host's files the root, with a layer above them that takes all changes.
func enterHostRoot() error {
	if err := mountAll(root); err != nil {
		return err
	}
	upper, work := layerDir+"/upper", layerDir+"/work"
	for _, dir := range []string{upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	both := mountpoint{kind: "overlay", source: "overlay", dir: newRoot,
		options: "lowerdir=" + lowerDir + ",upperdir=" + upper + ",workdir=" + work}
	if err := both.mount(); err != nil {
		return err
	}
	for _, m := range first {
		if err := move(m.dir, newRoot+m.dir); err != nil {
			return err
		}
	}
	if err := os.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("make the host's files the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return os.Chdir("/")
}

func move(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(from, to, "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move %s to %s: %w", from, to, err)
	}
	return nil
}

func readOrder() (*order.Order, error) {
	text, err := os.ReadFile(filepath.Join(order.Answer, order.File))
	if err != nil {
		return nil, err
	}
	o := new(order.Order)
	return o, json.Unmarshal(text, o)
}

// ordered returns the mounts that the order asks for.
func ordered(o *order.Order) []mountpoint {
	var list []mountpoint
	// Where the kernel looks for modules that it loads on demand.
	if to := "/lib/modules/" + filepath.Base(o.Modules); o.Modules != "" && o.Modules != to {
		list = append(list, mountpoint{source: o.Modules, dir: to, flags: unix.MS_BIND})
	}
	for tag, dir := range o.Writable {
		list = append(list, mountpoint{kind: "9p", source: tag, dir: dir, options: share("none")})
	}
	return list
}

// copyBuilds copies a cache of builds: one that belongs to another user would not be trusted.
func copyBuilds(from string) error {
	if from == "" {
		return nil
	}
	to := order.Cache + "/gizmo"
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(from))
}

func bringLoopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	ifr, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, ifr); err != nil {
		return fmt.Errorf("bring up the loopback interface: %w", err)
	}
	return nil
}
