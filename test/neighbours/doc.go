// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package neighbours runs the clients of container runtimes against the real ones, and gizmo beside a real Prometheus. It needs root and the packages that
// "scripts/setup.sh neighbours" installs.
//
// Each test starts its own daemons in its own folder, and neither uses nor disturbs those of the machine: sockets are
// Unix sockets in that folder, containers have no network; Prometheus and the endpoint that it scrapes have free ports of the loopback interface. Images are made of a static busybox. When the tests end the
// daemons, their containers, mounts and control groups are gone.
package neighbours
