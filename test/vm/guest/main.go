// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command guest is the first process of the virtual machine: it makes the machine ready, runs the
// programs of its order, and switches it off. Its messages go to the console, of which the host
// shows the end if something went wrong.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// runner is the first argument of the process that runs the programs.
const runner = "runner"

func main() {
	if len(os.Args) > 1 && os.Args[1] == runner {
		if err := runOrder(); err != nil {
			fmt.Fprintln(os.Stderr, "guest:", err)
		}
		return
	}
	err := prepare()
	if err == nil {
		err = runAndReap()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Fprintln(os.Stderr, "guest: switch off:", err)
	}
	time.Sleep(time.Hour) // the kernel panics if its first process ends
}

// runAndReap runs the programs in a separate process. The first process of a machine inherits
// processes whose parents have ended, and has to reap them: tests look for processes that
// a program has left behind.
func runAndReap() error {
	child, err := os.StartProcess("/proc/self/exe", []string{"guest", runner}, &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return err
	}
	for {
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		if pid == child.Pid {
			return nil
		}
		if err != nil && err != syscall.EINTR {
			return fmt.Errorf("wait: %w", err)
		}
	}
}
