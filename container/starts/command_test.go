// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package starts

import (
	"strings"
	"testing"
)

func TestParseCommand(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]command{
		"runc create --bundle /b --pid-file /p/init.pid abc":                                        {"runc", "abc", "/b", "/p/init.pid"},
		"/usr/bin/runc --root /r --log /l --log-format json create --bundle=/b --pid-file=/p abc":   {"runc", "abc", "/b", "/p"},
		"runc --systemd-cgroup create --bundle b --no-pivot --console-socket /c --pid-file p a b c": {"runc", "c", "/cwd/b", "/cwd/p"},
		"crun --cgroup-manager cgroupfs run -b /b -d abc":                                           {"crun", "abc", "/b", ""},
		"runc run abc": {"runc", "abc", "/cwd", ""},
	} {
		if got, ok := parseCommand(strings.Fields(line), "/cwd"); !ok || got != want {
			t.Errorf("%s: %+v, %v; want %+v", line, got, ok, want)
		}
	}
	for _, line := range []string{"", "runc", "runc init", "runc start abc", "runc create", "runc --root create abc", "runc state create", "conmon -c x -u y"} {
		if got, ok := parseCommand(strings.Fields(line), "/cwd"); ok {
			t.Errorf("%s: %+v", line, got)
		}
	}
}
