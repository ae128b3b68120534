#!/bin/sh
# Grow a mounted XFS image from 1 to 2 GiB by hand, ROUNDS times; prints the milliseconds of each. As root.
#     sh bench/floor/grow.sh DIR [ROUNDS]
set -eu
place=$1
for round in $(seq "${2:-5}"); do
    image=$place/image-$round mount=$place/mount-$round
    mkdir "$mount"
    truncate -s 1G "$image"
    mkfs.xfs -q -m reflink=1 "$image"
    loop=$(losetup --find --show "$image")
    mount -t xfs "$loop" "$mount"
    began=$(date +%s%N)
    truncate -s 2G "$image"
    losetup --set-capacity "$loop"
    xfs_growfs -d "$mount" >/dev/null
    echo $((($(date +%s%N) - began) / 1000000))
    umount "$mount"
    losetup --detach "$loop"
    rm "$image"
    rmdir "$mount"
done
