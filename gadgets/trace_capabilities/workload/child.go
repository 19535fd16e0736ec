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

// inUserNamespace runs this program in a new user namespace, and returns its events.
func inUserNamespace(dir string) (events []Event, err error) {
	host := workload.Must(workload.Namespace("/proc/self/ns/user"))
	cmd := exec.Command(workload.Must(os.Executable()), dir)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", hostVar, host))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.Output()
	workload.Check("in a user namespace", err)
	return events, json.Unmarshal(out, &events)
}

// runChild runs in the user namespace: the process has all capabilities there, but none outside.
func runChild(string) error {
	host := workload.Must(strconv.ParseUint(os.Getenv(hostVar), 10, 64))
	events := workload.Must(onThread(func(t *thread) {
		outside := sethostname()
		outside.target = host
		t.do(false, outside)
		t.do(true, unshareUTS(), sethostname())
	})())
	return json.NewEncoder(os.Stdout).Encode(events)
}
