// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Run causes the events and returns them.
func Run() ([]Event, error) {
	var events []Event
	for _, part := range []func(*thread) error{asRoot, asNobody, asOther, compat} {
		more, err := onThread(part)
		if err != nil {
			return nil, err
		}
		events = append(events, more...)
	}
	more, err := inChild()
	return append(events, more...), err
}

// asRoot has all that it asks for.
func asRoot(t *thread) error { return t.withScore(true) }

// asNobody has nothing.
func asNobody(t *thread) error {
	return t.withScore(false, signalParent(os.Getppid()))
}

// withScore makes all calls, and more.
func (t *thread) withScore(may bool, more ...*call) error {
	f, err := os.OpenFile("/proc/self/oom_score_adj", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	value := make([]byte, 16)
	n, err := f.Read(value)
	if err != nil {
		return err
	}
	if !may {
		if err := t.becomeNobody(); err != nil {
			return err
		}
	}
	list := append(calls(), reorder(int(f.Fd()), value[:n]))
	return t.do(may, append(list, more...)...)
}

// asOther is another thread that has given up one capability.
func asOther(t *thread) error {
	header, data, err := t.capabilities()
	if err != nil {
		return err
	}
	data[0].Effective &^= 1 << unix.CAP_SYS_NICE
	if err := unix.Capset(header, &data[0]); err != nil {
		return fmt.Errorf("give up a capability: %w", err)
	}
	if err := t.do(false, moreUrgent()); err != nil {
		return err
	}
	return t.do(true, sethostname())
}

// inChild runs this program in a user namespace of its own.
func inChild() ([]Event, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	identity := []unixIDMap{{HostID: os.Getuid(), Size: 1}}
	cmd := exec.Command(program, "-")
	cmd.Env = append(os.Environ(), modeVar+"=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: identity, GidMappings: []unixIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	host, err := inode("/proc/self/ns/user")
	if err != nil {
		return nil, err
	}
	cmd.Stdin = bytes.NewBufferString(fmt.Sprintln(host))
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("in a user namespace: %w", err)
	}
	var events []Event
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var e Event
		if err := d.Decode(&e); err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

// inUserNamespace is the child: all is its own there, but nothing outside.
func inUserNamespace(in io.Reader, out io.Writer) error {
	var host uint64
	if _, err := fmt.Fscan(in, &host); err != nil {
		return err
	}
	events, err := onThread(func(t *thread) error {
		outside := sethostname()
		outside.target = host
		if err := t.do(false, outside); err != nil {
			return err
		}
		return t.do(true, unshareUTS(), sethostname())
	})
	if err != nil {
		return err
	}
	return write(json.NewEncoder(out), events)
}
