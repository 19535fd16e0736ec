// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

// queue is a network interface whose other end is this process.
type queue struct {
	end   int
	index int
	other [4]byte // the address of the other end
	made  bool
}

// newQueue makes an interface for the network 192.0.NET.0, in the network namespace of the calling thread.
func newQueue(name string, network byte) *queue {
	q := &queue{end: workload.Must(workload.OpenTun()), other: [4]byte{192, 0, network, 2}}
	req := workload.Must(unix.NewIfreq(name))
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	workload.Check("make an interface", unix.IoctlIfreq(q.end, unix.TUNSETIFF, req))
	// Without IPv6 the kernel sends nothing of its own.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		workload.Check("disable IPv6", err)
	}
	link := workload.Must(netlink.LinkByName(name))
	address := workload.Must(netlink.ParseAddr(fmt.Sprintf("192.0.%d.1/24", network)))
	workload.Check("set an address", netlink.AddrAdd(link, address))
	workload.Check("allow long packets", netlink.LinkSetMTU(link, 60_000))
	workload.Check("start the interface", netlink.LinkSetUp(link))
	q.index = link.Attrs().Index
	return q
}

// limit sets the rate at which packets leave the queue, in bytes a second. At first there may be a burst of so many bytes.
func (q *queue) limit(rate, burst uint64) {
	const unit = 64 // ns, of the time that a burst takes
	tbf := &netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: q.index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       rate, Buffer: uint32(burst * 1e9 / rate / unit), Limit: 1 << 20,
	}
	set := netlink.QdiscAdd
	if q.made {
		set = netlink.QdiscChange
	}
	workload.Check("limit the rate", set(tbf))
	q.made = true
}

// drain receives so many packets at the other end.
func (q *queue) drain(packets int) {
	workload.Check("do not wait", unix.SetNonblock(q.end, true))
	end := time.Now().Add(10 * time.Second)
	for buf := make([]byte, 60_000); packets > 0; {
		switch _, err := unix.Read(q.end, buf); {
		case err == nil:
			packets--
		case !errors.Is(err, unix.EAGAIN) || time.Now().After(end):
			workload.Check(fmt.Sprintf("receive %d more packets", packets), err)
		default:
			time.Sleep(time.Millisecond)
		}
	}
}
