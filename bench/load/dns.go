// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// dnsQuery asks for an address of a name, and dnsAnswer has two. The first two bytes are the query's number.
const (
	dnsQuestion = "\x07service\x09namespace\x03svc\x07cluster\x05local\x00\x00\x01\x00\x01"
	dnsQuery    = "\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + dnsQuestion
	dnsAddress  = "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x0a\x00\x00"
	dnsAnswer   = "\x00\x00\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00" + dnsQuestion + dnsAddress + "\x01" + dnsAddress + "\x02"
)

// queryDNS sends queries over the loopback interface to a server, which it is itself, and answers them: so there are four messages for
// each query, two that are sent and two that are received. It returns the time that a query takes with its answer.
func queryDNS(port, rate int, length time.Duration, cpus []int) (int64, error) {
	if err := pin(cpus, 0); err != nil {
		return 0, err
	}
	server, client, err := dnsSockets(port)
	if err != nil {
		return 0, err
	}
	defer unix.Close(server)
	defer unix.Close(client)
	var busy time.Duration
	buf := make([]byte, 512)
	query, answer := []byte(dnsQuery), []byte(dnsAnswer)
	begin, count := time.Now(), 0
	for total := int(length.Seconds() * float64(rate)); count < total; {
		due := int(time.Since(begin).Seconds() * float64(rate))
		start := time.Now()
		for ; count < min(due, total); count++ {
			binary.BigEndian.PutUint16(query, uint16(count))
			binary.BigEndian.PutUint16(answer, uint16(count))
			if err := exchange(server, client, query, answer, buf); err != nil {
				return 0, err
			}
		}
		busy += time.Since(start)
		time.Sleep(200 * time.Microsecond)
	}
	if took := time.Since(begin); took > length*11/10 {
		return 0, fmt.Errorf("the machine is too slow for %d queries a second: they took %v", rate, took)
	}
	return busy.Nanoseconds() / int64(max(count, 1)), nil
}

func dnsSockets(port int) (server, client int, err error) {
	if server, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0); err != nil {
		return 0, 0, err
	}
	if client, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0); err != nil {
		return 0, 0, err
	}
	at := &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Bind(server, at); err != nil {
		return 0, 0, fmt.Errorf("bind to port %d: %w", port, err)
	}
	return server, client, unix.Connect(client, at)
}

func exchange(server, client int, query, answer, buf []byte) error {
	if _, err := unix.Write(client, query); err != nil {
		return err
	}
	_, from, err := unix.Recvfrom(server, buf, 0)
	if err != nil {
		return err
	}
	if err := unix.Sendto(server, answer, 0, from); err != nil {
		return err
	}
	n, err := unix.Read(client, buf)
	if err == nil && n != len(answer) {
		err = errors.New("another answer came")
	}
	return err
}
