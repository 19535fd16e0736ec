// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

var lsmPrograms = []string{"on_getpgid", "on_open", "on_getsid"}

func TestLSM(t *testing.T) {
	img := parse(t, "lsm")
	if !offers(t).lsm {
		mustSay(t, refusal(t, img, LoadOptions{}), "program on_", ": lsm", ": this kernel ", "LSM programs")
		return
	}
	g := start(t, img, LoadOptions{Params: watching(t, img)})
	_, _, _ = unix.RawSyscall(unix.SYS_GETPGID, uintptr(os.Getpid()), 0, 0)
	f, err := os.OpenFile("/proc/self/status", os.O_RDONLY|unix.O_DIRECT|unix.O_NOATIME, 0)
	if err == nil {
		f.Close()
	}
	var got []string
	for _, row := range drain(t, g.source(t)).rows {
		if flags := binary.LittleEndian.Uint32(row[4:]); flags == 0 || flags&unix.O_NOATIME != 0 {
			got = append(got, fmt.Sprint(binary.LittleEndian.Uint32(row)))
		}
	}
	if want := []string{"0", "1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A program that only answers the kernel's question does something, unless the answer is always
// that there is no objection.
func TestLSMThatOnlyAnswers(t *testing.T) {
	img := parseWith(t, "lsm", only("on_getsid", "", lsmPrograms...))
	if !offers(t).lsm {
		values := map[string]image.Value{"refuse": {1}}
		mustSay(t, refusal(t, img, LoadOptions{Params: values}), "program on_getsid: lsm/task_getsid: this kernel ")
		return
	}
	getsid := func() error {
		_, _, errno := unix.RawSyscall(unix.SYS_GETSID, uintptr(os.Getpid()), 0, 0)
		if errno == 0 {
			return nil
		}
		return errno
	}
	values := watching(t, img)
	values["refuse"] = image.Value{0}
	if _, err := Load(img, &LoadOptions{Params: values}); !errors.As(err, new(*image.NothingToDoError)) {
		t.Errorf("without an objection: got %v", err)
	}
	values["refuse"] = image.Value{1}
	g := start(t, img, LoadOptions{Params: values})
	if err := getsid(); !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v", err)
	}
	if err := g.Detach(); err != nil {
		t.Error(err)
	}
	if err := getsid(); err != nil {
		t.Errorf("after it was detached: %v", err)
	}
}

func TestMissingLSMHook(t *testing.T) {
	img := parseWith(t, "lsm", only("on_getpgid", "task_getpgidd", lsmPrograms...))
	err := refusal(t, img, LoadOptions{})
	if !offers(t).lsm && strings.Contains(fmt.Sprint(err), "does not call LSM programs") {
		return // a kernel that asks none is the first obstacle
	}
	mustSay(t, err, "program on_getpgid: this kernel has no LSM hook task_getpgidd; did you mean \"task_getpgid\"?")
}

// A kernel that was booted without the BPF security module accepts LSM programs but never runs them: gizmo
// must report that. The lab boots with the module; this test simulates a kernel without it.
func TestInactiveLSM(t *testing.T) {
	kerneltest.RequireRoot(t)
	inPrivateMounts(t, func() {
		if err := unix.Mount("tmpfs", "/sys/kernel/security", "tmpfs", 0, ""); err != nil {
			t.Error(err)
			return
		}
		if err := os.WriteFile("/sys/kernel/security/lsm", []byte("lockdown,capability"), 0o600); err != nil {
			t.Error(err)
			return
		}
		img := parse(t, "lsm")
		mustSay(t, refusal(t, img, LoadOptions{}), ": this kernel does not call LSM programs: boot it with lsm=lockdown,capability,bpf")
	})
}

// A kernel that is locked down does not know the functions that read its memory. The verifier's word
// about it needs a translation.
func TestLockedDownKernel(t *testing.T) {
	kerneltest.RequireRoot(t)
	refused := &ebpf.VerifierError{Cause: unix.EINVAL, Log: []string{"0: R1=ctx()", "unknown func bpf_probe_read_kernel#113"}}
	for text, want := range map[string]bool{"none integrity [confidentiality]": true, "none [integrity] confidentiality": false} {
		inPrivateMounts(t, func() {
			if err := unix.Mount("tmpfs", "/sys/kernel/security", "tmpfs", 0, ""); err != nil {
				t.Error(err)
				return
			}
			if err := os.WriteFile("/sys/kernel/security/lockdown", []byte(text), 0o600); err != nil {
				t.Error(err)
				return
			}
			if got := explainLoad(nil, refused); strings.Contains(got.Error(), "this kernel is locked down") != want {
				t.Errorf("%s: %v", text, got)
			}
		})
	}
}

// inPrivateMounts runs a function in a thread of its own that sees mounts of its own.
func inPrivateMounts(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlock it: the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
			t.Error(err)
			return
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}
