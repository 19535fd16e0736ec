// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// inUserNamespace runs this program in a user namespace of its own, and returns that one's events.
func inUserNamespace(dir string) ([]Event, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	host, err := workload.Namespace("/proc/self/ns/user")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, dir)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", hostVar, host))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("in a user namespace: %w", err)
	}
	var events []Event
	err = json.Unmarshal(out, &events)
	return events, err
}

// runChild is what this program does there: all is its own, but nothing outside.
func runChild(string) error {
	host, err := strconv.ParseUint(os.Getenv(hostVar), 10, 64)
	if err != nil {
		return err
	}
	events, err := onThread(func(t *thread) error {
		outside := sethostname()
		outside.target = host
		if err := t.do(false, outside); err != nil {
			return err
		}
		return t.do(true, unshareUTS(), sethostname())
	})()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(events)
}
