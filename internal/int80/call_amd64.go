// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package int80

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// mapLow has the kernel map memory where addresses are short.
const mapLow = unix.MAP_32BIT

// Call makes a call as 32-bit programs do: with their numbers, and registers of half the size.
func Call(nr, a, b, c, d, e uintptr) uintptr

// startTrial starts a process that makes one such call and exits with 0 if the call works.
func startTrial() (pid int)

// try makes a call in a process of its own: where the kernel does not take such calls, the call may
// fail, or be the end of the process that makes it.
func try() error {
	pid := startTrial()
	if pid < 0 {
		return fmt.Errorf("start a process to try: %w", unix.Errno(-pid))
	}
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &status, unix.WALL, nil)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return fmt.Errorf("wait for the process that tries: %w", err)
		}
	}
	switch {
	case status.Signaled():
		return fmt.Errorf("%s kills the caller", unix.SignalName(status.Signal()))
	case status.ExitStatus() != 0:
		return errors.New("such a call does not do what it should")
	}
	return nil
}
