// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

// The name of the kernel's files about security modules for errors, and their largest size in bytes.
const securityFile, maxSecurityFile = "a file of the kernel's security modules", 1 << 16

// SecurityModules returns the names of those that are active.
func SecurityModules() ([]string, error) {
	text, err := readSecurityFile("lsm")
	if err != nil {
		return nil, err
	}
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == '\n' }), nil
}

// HidesItsMemory reports whether the kernel is known to let no program read its memory.
func HidesItsMemory() bool {
	text, err := readSecurityFile("lockdown")
	return err == nil && strings.Contains(text, "[confidentiality]")
}

// readSecurityFile reads a file of securityfs, which need not be mounted.
func readSecurityFile(name string) (string, error) {
	text, err := safefile.Read(filepath.Join("/sys/kernel/security", name), securityFile, maxSecurityFile)
	if err != nil {
		text, err = readUnmounted("securityfs", name)
	}
	return string(text), err
}

// readUnmounted reads a file of a file system that is mounted nowhere (Linux 5.2).
func readUnmounted(fileSystem, name string) ([]byte, error) {
	fs, err := unix.Fsopen(fileSystem, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, err
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY)
	if err != nil {
		return nil, err
	}
	defer unix.Close(mount)
	fd, err := unix.Openat(mount, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	return safefile.ReadFrom(f, securityFile, maxSecurityFile)
}
