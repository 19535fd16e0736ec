// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command workload has packets wait in the queue of a network interface for a known time.
//
//	workload DIR
//
// The interface is in a network namespace of its own. DIR is not used.
package main

import (
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadgets/internal/workload"
)

const (
	// A packet may leave the queue late, but not early: this is a little more than the shortest time of slot 19, from 2^18 µs up to 2^19.
	waiting = 270 * time.Millisecond
	slot    = 19

	packets = 40
	// ahead is how many packets are in front of these: at the slow rate, each takes some four seconds.
	ahead = 64
	// dropped is how many are in the queue when the interface goes.
	dropped = 2
)

// Lengths of packets, with headers of 28 bytes. At the slow rate a long one may not be in the queue, at the next one it takes some four
// seconds.
const (
	short = 400
	long  = 40_000
)

func main() { workload.Main(run) }

func run(string) error {
	network := workload.Must(workload.NewNetwork())
	onThread := func(do func(*workload.Thread[Row])) workload.Task[Row] {
		return workload.OnThread("qdisc", func(t *workload.Thread[Row]) error {
			workload.Check("enter", network.Enter())
			do(t)
			return nil
		})
	}
	var slow, other *queue
	if _, err := onThread(func(*workload.Thread[Row]) {
		slow, other = newQueue("slow", 2), newQueue("other", 3)
		slow.limit(100, short+20)
		slow.send(1+ahead, short) // the first goes at once
	})(); err != nil {
		return err
	}
	return workload.Cause([]string{"--map-fetch-interval", "0", "--ifindex", strconv.Itoa(slow.index)},
		onThread(func(t *workload.Thread[Row]) {
			other.send(20, short)
			slow.send(packets, short)
			time.Sleep(waiting)
			// One burst has all these packets. The kernel looks at the queue when the next packet comes.
			slow.limit(10_000, (1+ahead+packets)*short)
			slow.send(dropped, long)
			slow.drain(1 + ahead + packets)
			workload.CloseFD(slow.end)
			row := Row{NetnsID: network.ID}
			row.Latency[slot] = packets
			t.Events = append(t.Events, row)
		}))
}

// Row is a row of profile_qdisc_latency, with the fields that are known in advance.
type Row struct {
	NetnsID uint64     `json:"netns_id"`
	Latency [27]uint32 `json:"latency"`
}

// headers are those of IPv4 and UDP.
const headers = 28

// send sends packets to the other end of the interface.
func (q *queue) send(n, length int) {
	fd := workload.Must(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0))
	defer unix.Close(fd)
	to := &unix.SockaddrInet4{Addr: q.other, Port: 9}
	for range n {
		workload.Check("send", unix.Sendto(fd, make([]byte, length-headers), 0, to))
	}
}
