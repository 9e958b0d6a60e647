"""What the sample package offers to twistmail."""

from twistmail_sample import ClubSource, UnwelcomeFactory, WholeStaffSource

staff = WholeStaffSource()
unwelcome = UnwelcomeFactory()
club = ClubSource()
