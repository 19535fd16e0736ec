// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package run_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/catalog"
	"github.com/gizmo-ebpf/gizmo/container"
	"github.com/gizmo-ebpf/gizmo/gadget/image"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/run"
	"github.com/gizmo-ebpf/gizmo/sink/structs"
)

// tapsImage is the gadget of testdata/taps.
func tapsImage(t *testing.T) *image.Image {
	t.Helper()
	found, err := (&catalog.Catalog{}).Find(t.Context(), "testdata/taps")
	if err != nil {
		t.Fatal(err)
	}
	return found.Image
}

// connect makes a pair of interfaces between the host and the namespace of the process, and returns the host's address. Its network is one
// for documentation.
func (i *inside) connect(t *testing.T, n int) (host string) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = hostEnd(n)
	pid := i.cmd.Process.Pid
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(ns.Fd()))}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netlink.LinkDel(&netlink.Device{LinkAttrs: attrs}); err != nil {
			t.Error(err)
		}
	})
	host = fmt.Sprintf("198.51.100.%d", 4*n+1)
	within := inNamespace(ns, func() error { return setAddress("eth0", fmt.Sprintf("198.51.100.%d/30", 4*n+2)) })
	if err := errors.Join(setAddress(attrs.Name, host+"/30"), within); err != nil {
		t.Fatal(err)
	}
	return host
}

// inNamespace calls do on a thread that is in a network namespace meanwhile.
func inNamespace(ns *os.File, do func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer own.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	return errors.Join(do(), unix.Setns(int(own.Fd()), unix.CLONE_NEWNET))
}

// hostEnd is the name of the host's interface.
func hostEnd(n int) string { return fmt.Sprintf("gzr%d-%d", n, os.Getpid()%1000000) }

// programsAt counts the programs at an interface of the host, attached by links or as filters.
func programsAt(t *testing.T, name string) (n int) {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, as := range []ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress} {
		if all, err := link.QueryPrograms(link.QueryOptions{Target: l.Attrs().Index, Attach: as}); err == nil {
			n += len(all.Programs)
		}
	}
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		if all, err := netlink.FilterList(l, parent); err == nil {
			n += len(all)
		}
	}
	return n
}

func setAddress(name, ip string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	address, err := netlink.ParseAddr(ip)
	if err != nil {
		return err
	}
	return errors.Join(netlink.AddrAdd(l, address), netlink.LinkSetUp(l))
}

// packetSockets counts the packet sockets in the namespace of the process.
func (i *inside) packetSockets(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/packet", i.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n") - 1
}

// Programs for packets see those of each selected container, from its start to its end: in its network namespace, and at the host's ends of its
// interfaces.
func TestPacketsOfContainers(t *testing.T) {
	kerneltest.RequireRoot(t)
	img := tapsImage(t)
	program := buildInside(t)
	own := func() *inside { return startInside(t, program, "", unix.CLONE_NEWNET|unix.CLONE_NEWNS) }
	host, web, db, late := startInside(t, program, "", 0), own(), own(), own()
	gone := own() // its process ends, which the set learns later
	toHost := make(map[*inside]string)
	for n, i := range []*inside{web, db, late} {
		toHost[i] = i.connect(t, n)
	}
	send := func(i *inside) {
		t.Helper()
		for _, to := range []string{"127.0.0.1", toHost[i]} {
			if to == "" {
				continue
			}
			if n := i.tell(t, "s "+to); n != "11" {
				t.Fatalf("sent %s bytes", n)
			}
		}
	}
	of := func(name string) []string { return []string{name + " 0", name + " 0", name + " 0", name + " 2"} }
	alive := true
	for name, c := range map[string]struct {
		host bool
		want []string
	}{
		"containers": {false, slices.Concat(of("late"), of("web"))},
		"and host": {true, slices.Concat(
			// loopback, by both kinds, and what arrives of web, db, late, and of late after its end
			[]string{" 0", " 0", " 0", " 0", " 0", " 0", " 1", " 2"}, of("late"), of("web"))},
	} {
		t.Run(name, func(t *testing.T) {
			set := container.NewSet("")
			defer set.Close()
			web.put(t, set, "web")
			db.put(t, set, "db")
			if alive {
				gone.put(t, set, "gone")
				_ = gone.cmd.Process.Kill()
				_ = gone.cmd.Wait()
				alive = false
			}
			var mu sync.Mutex
			var got []string
			runImage(t, img, run.Options{
				Containers: &run.Containers{Set: set, Selector: selectNames(t, "web,late,gone"), Host: c.host},
				Sinks: []pipeline.NamedSink{{Name: "values", Sink: structs.Each(func(e *struct {
					Container string `event:"runtime.containerName"`
					Place     uint32 `event:"place"`
					Size      uint32 `event:"size"`
				}) error {
					mu.Lock()
					defer mu.Unlock()
					if e.Size == 11 {
						got = append(got, fmt.Sprintf("%s %d", e.Container, e.Place))
					}
					return nil
				})}},
			}, func() {
				if n := [3]int{web.packetSockets(t), db.packetSockets(t), late.packetSockets(t)}; n != [3]int{1, 0, 0} {
					t.Errorf("%v packet sockets in web, db, late", n)
				}
				send(host)
				send(web)
				send(db)
				t.Logf("%v for a container that starts", late.put(t, set, "late"))
				if n := late.packetSockets(t); n != 1 {
					t.Errorf("%d packet sockets in a container that has started", n)
				}
				eventually(t, "the programs are attached to the interface", func() bool { return programsAt(t, hostEnd(2)) == 2 })
				send(late)
				set.End("late")
				eventually(t, "the programs are detached", func() bool { return late.packetSockets(t) == 0 && programsAt(t, hostEnd(2)) == 0 })
				send(late)
				eventually(t, "all packets are there", func() bool {
					mu.Lock()
					defer mu.Unlock()
					return len(got) >= len(c.want)
				})
			})
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if n := web.packetSockets(t); n != 0 {
				t.Errorf("%d packet sockets are left", n)
			}
		})
	}
}
