// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"encoding/json"
	"os"
	"testing"
)

// Not in parallel: other tests name threads, of which any may be the first.
func TestSelfAndChild(t *testing.T) {
	self, err := Self()
	if err != nil {
		t.Fatal(err)
	}
	mntns, err := Namespace("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	creds := Creds{UID: os.Getuid(), GID: os.Getgid()}
	want := Proc{
		Comm: status(t, "self", "Name"), PID: os.Getpid(), TID: os.Getpid(), MntnsID: mntns, Creds: creds,
		Parent: Parent{PID: os.Getppid()},
	}
	if self != want {
		t.Errorf("this process: %+v, want %+v", self, want)
	}
	want = Proc{Comm: "cat", PID: 99, TID: 99, MntnsID: mntns, Creds: creds, Parent: Parent{PID: os.Getpid()}}
	if child := self.Child("cat", 99); child != want {
		t.Errorf("a child: %+v, want %+v", child, want)
	}
}

// Unknown values are left out, so that they are not compared; a known zero is written.
func TestProcInJSON(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(Proc{PID: 5, Parent: Parent{PID: 4}})
	if want := `{"pid":5,"tid":0,"mntns_id":0,"creds":{"uid":0,"gid":0},"parent":{"pid":4}}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestNoNamespace(t *testing.T) {
	t.Parallel()
	if id, err := Namespace("/proc/self/ns/nothing"); err == nil {
		t.Errorf("number %d of a namespace that is not there", id)
	}
}
